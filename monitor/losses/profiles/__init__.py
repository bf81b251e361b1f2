"""Measure what a loss function is like, by calling it.

`measure.profile` runs the measurements, each in a file of its own; `kinds` says how predictions and targets are laid
out for each kind of loss, `subject` calls the function, `report.LossProfile` is the result and `picture.svg` draws it.
"""
