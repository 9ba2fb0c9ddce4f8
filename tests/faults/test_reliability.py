"""docs/reliability.md says what the tests of faults say, and each of them has a row."""

from __future__ import annotations

from .reliability import PAGE, faults, page, shown_on


def test_the_page_has_the_faults_that_the_tests_have_and_no_other() -> None:
    text = PAGE.read_text("utf-8")
    shown = shown_on(text)
    assert shown.keys() == {fault.test for fault in faults()}, "make faults"
    assert text == page(shown), "make faults"


def test_every_fault_says_what_it_has_to() -> None:
    found = faults()
    assert len(found) > 12 and len({fault.name for fault in found}) == len({fault.test for fault in found}) == len(found)
    for fault in found:
        words = (fault.name, fault.group, fault.readers, fault.lost, fault.heals)
        assert all(words) and not any("|" in word or "\n" in word for word in words), fault
        assert fault.lost.startswith("nothing"), fault
