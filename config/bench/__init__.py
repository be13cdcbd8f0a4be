"""Measuring the product: each bench runs the real program, its reader and real sockets, beside a floor taken in the same minute.

Nothing of the product imports from here. A bench says what it measured, against which floor and how quiet the machine was; it never
gives a bare time where a ratio is asked for, and calls its own run void when the machine was too busy to tell.
"""
