"""Streaming: training clips that are fetched and decoded while training runs.

`datasets.IterableDataset` (5.2) is not used: its `state_dict` leaves out the shuffle buffer, so
that a resumed run loses clips of the epoch and repeats others, and its order changes with the
number of loader workers. `split_dataset_by_node` gives processes unequal numbers of batches if the
number of files is a multiple of theirs, and else has every process read all files.
"""
