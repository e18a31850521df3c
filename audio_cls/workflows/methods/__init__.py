"""Methods of training, `--method`: clips and a model in, a fitted classifier out."""
