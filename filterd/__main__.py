"""`python -m filterd` is the `filterd` command."""

from filterd.cli import main

if __name__ == "__main__":
    main()
