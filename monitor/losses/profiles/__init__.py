"""Measures the properties of a loss function by calling it.

`measure.profile` runs the measurements, one file each. `kinds` defines the layout of predictions and targets for each
kind of loss, `subject` calls the function, and `report.LossProfile` is the result.
"""
