"""Train, judge and publish audio classifiers from any data set; scripts/train.py shows the way."""

__version__ = "0.1.0"
