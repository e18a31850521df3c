"""Events in recordings: from windows, in label files of Audacity and Raven, as cut clips."""
