"""`python -m broker` is `broker`."""

from broker.cli.main import main

if __name__ == "__main__":
    main()
