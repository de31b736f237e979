"""Importers: public data and any CSV file, turned into input events.

One importer reads a table by a mapping (`engine`), one follows incidents through their states (`incidents`); both
hand what they make to an `Outbox`, which checks each event against the contract of `models`, puts them in order
of time, and counts.
"""
