"""Shares of a kernel's work."""

from facefit.compute.chunks import span


def test_every_element_once():
    for count in (0, 3, 10, 17):
        spans = [span(count, 4, chunk) for chunk in range(8)]
        assert [batch for batch, _, _ in spans] == [0] * 4 + [1] * 4
        for batch in (0, 1):
            covered = [k for b, first, last in spans if b == batch for k in range(first, last)]
            assert covered == list(range(count))
