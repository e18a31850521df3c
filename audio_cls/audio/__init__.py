"""Audio files and waveforms: decode, resample, windows. Imports nothing of data sets or models."""
