"""The one exception that means "what was asked for cannot be done".

Everything that checks a flag, a file, an image or a weights file raises it, and
the command line turns it into exit status 2 and a single line. Any other
exception is a fault of the program or of the machine.
"""


class RequestError(ValueError):
    """What was expected, what was found and what to do, in one line."""
