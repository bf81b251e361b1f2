"""The dashboard: Streamlit pages that read through `monitor.Api` and nothing else."""
