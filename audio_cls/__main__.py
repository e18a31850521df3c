"""`python -m audio_cls`: the same as the command `audio-cls`."""

from audio_cls.cli.main import main

if __name__ == "__main__":
    main()
