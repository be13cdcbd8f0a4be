"""An Asterisk made of words, for tests: a process that speaks AMI, lets people call, breaks on command and keeps the truth.

Model and text are taken from recorded streams of a real Asterisk 22 and compared with them by `test_against_captures`. Nothing in
here imports the product: what it knows of Asterisk it knows by itself, so that it can't agree with us by mistake.
"""
