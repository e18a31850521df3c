"""`python -m audio_cls`: the same as the command `audio-cls`."""

from audio_cls.cli.start import main

if __name__ == "__main__":
    main()
