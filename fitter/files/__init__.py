"""Bytes in and out, untrusted ones included."""
