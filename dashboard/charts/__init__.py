"""Figures: pure functions from curves and findings to plain data that Plotly draws."""
