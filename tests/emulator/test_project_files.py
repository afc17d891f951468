"""Project XML files are read whole, with their line breaks, or not at all, with one sentence."""

import io
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.emulator import EmulatorError, ProjectFileError, RedcapEmulator
from redcap_dagster.emulator.odm.attributes import AttributeLineBreaks
from redcap_dagster.emulator.odm.events import iter_xml

FIELDS = [
    {"field_name": "record_id", "form_name": "people"},
    {"field_name": "notes", "form_name": "people", "field_type": "notes"},
    {"field_name": "day", "form_name": "people"},
]
ROWS = [{"record_id": "1", "notes": 'a\r\nb\tc "<&>" \u00e9', "people_complete": "2"}]


@pytest.fixture
def xml(project_xml: Any) -> str:
    return str(project_xml(FIELDS, ROWS))


def project_count(redcap: RedcapEmulator) -> int:
    with closing(redcap.store.connect()) as connection:
        return int(connection.execute("SELECT count(*) FROM project").fetchone()[0])


def test_line_breaks_inside_values_survive(redcap: Any, xml: str, ask: Any) -> None:
    token = redcap.add_project(xml)
    rows = ask(token, "record", format="json", fields="notes").json()
    assert rows == [{"notes": 'a\r\nb\tc "<&>" \u00e9'}]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_line_breaks_survive_however_the_bytes_are_cut(size: int) -> None:
    """Text, comments, instructions and CDATA pass through unchanged."""
    source = (
        b'<?xml version="1.0"?>\n<a x="1\n2" y=\'<b "\n">\'><!-- "\n" <c> --><![CDATA["\n"<d>]]>\n'
        b'text "\n" <e/></a>\n'
    )
    line_breaks = AttributeLineBreaks()
    parts = [line_breaks.feed(source[i : i + size]) for i in range(0, len(source), size)]
    assert b"".join(parts) + line_breaks.rest() == source.replace(
        b'x="1\n2"', b'x="1&#10;2"'
    ).replace(b"'<b \"\n\">'", b"'<b \"&#10;\">'")


def test_a_path_text_and_bytes_are_all_taken(
    redcap: Any, xml: str, ask: Any, tmp_path: Path
) -> None:
    file = tmp_path / "study.xml"
    file.write_text(xml, encoding="utf-8", newline="")
    tokens = [redcap.add_project(source) for source in (file, str(file), xml, xml.encode())]
    bodies = {ask(token, "record").text for token in tokens}
    assert (len(set(tokens)), len(bodies)) == (4, 1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "The XML is empty."),
        (b"\xff\xfe<\x00", "The XML is not UTF-8, which every REDCap writes."),
        (b"hello", "The XML is not a REDCap project XML: syntax error at line 1."),
        (
            b"<html></html>",
            "The XML is not a REDCap project XML: its root element is html, not ODM.",
        ),
        (
            b'<ODM SourceSystem="Other"><Study/></ODM>',
            "The XML is CDISC ODM, but it was not written by REDCap.",
        ),
        (
            b"<ODM><ClinicalData/></ODM>",
            (
                "The XML holds no study definition. Load the project's own XML file, and give a "
                "file that holds only records beside it."
            ),
        ),
        (
            b"<ODM><Study><MetaDataVersion></MetaDataVersion></Study></ODM>",
            "The XML defines no field: it is no REDCap project XML.",
        ),
        (
            b'<!DOCTYPE a [<!ENTITY x "y">]><ODM/>',
            (
                "The XML declares a document type or entities, which no REDCap writes and which "
                "can reach other files: it was not loaded."
            ),
        ),
    ],
)
def test_what_is_no_project_is_refused_in_one_sentence(
    redcap: Any, source: bytes, message: str
) -> None:
    before = project_count(redcap)
    with pytest.raises(ProjectFileError) as refused:
        redcap.add_project(source)
    assert (str(refused.value), project_count(redcap)) == (message, before)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_cut_file_is_refused_whole(redcap: Any, xml: str, share: float) -> None:
    before = project_count(redcap)
    with pytest.raises(ProjectFileError, match="the file is cut off"):
        redcap.add_project(xml[: int(len(xml) * share)])
    assert project_count(redcap) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('ItemRef ItemOID="notes"', 'ItemRef ItemOID="gone"', "'gone' is named, but not defined"),
        ('FormData FormOID="Form.people"', 'FormData FormOID="Form.x"', "an instrument it does"),
        ('ItemData ItemOID="notes"', 'ItemData ItemOID="x"', "data of x, which it does not"),
        ('FormRepeatKey="1"', 'FormRepeatKey="2"', "does not define as repeating"),
        ('FormRepeatKey="1"', 'FormRepeatKey="one"', "missing or no number"),
        (' FormRepeatKey="1"', "", "missing or no number"),
        (' redcap:FieldType="text"', "", "data of people___|defines no field|does not define"),
    ],
)
def test_contradictions_are_named(redcap: Any, xml: str, old: str, new: str, message: str) -> None:
    assert old in xml
    with pytest.raises(ProjectFileError, match=message):
        redcap.add_project(xml.replace(old, new))


def test_one_record_twice_is_refused(redcap: Any, xml: str) -> None:
    subject = xml[xml.index("<SubjectData") : xml.index("</ClinicalData>")]
    with pytest.raises(ProjectFileError, match="holds one record twice"):
        redcap.add_project(xml.replace(subject, subject * 2))


def test_a_missing_file_is_named(redcap: Any, tmp_path: Path) -> None:
    with pytest.raises(ProjectFileError, match=r"gone\.xml cannot be read: No such file"):
        redcap.add_project(tmp_path / "gone.xml")


def test_records_may_come_in_a_second_file(
    redcap: Any, xml: str, project_xml: Any, ask: Any
) -> None:
    records = xml[: xml.index("<Study")] + xml[xml.index("<ClinicalData") :]
    token = redcap.add_project(project_xml(FIELDS), records=records)
    assert ask(token, "record", fields="record_id").text == "record_id\n1\n"


def test_dates_with_times_lose_the_t_of_xml(redcap: Any, project_xml: Any, ask: Any) -> None:
    fields = [
        FIELDS[0],
        {
            **FIELDS[2],
            "text_validation_type_or_show_slider_number": "datetime_dmy",
            "text_validation_min": "2020-01-01T00:00",
        },
        {**FIELDS[1], "field_name": "free"},
    ]
    rows = [{"record_id": "1", "day": "2023-07-31T14:49", "free": "2023-07-31T14:49"}]
    token = redcap.add_project(project_xml(fields, rows))
    assert ask(token, "record", fields="day,free").text == (
        'day,free\n"2023-07-31 14:49",2023-07-31T14:49\n'
    )
    assert ask(token, "metadata", format="json").json()[1]["text_validation_min"] == (
        "2020-01-01 00:00"
    )


def test_groups_that_only_records_name_become_groups(
    redcap: Any, project_xml: Any, ask: Any
) -> None:
    row = {"record_id": "1", "redcap_data_access_group": "north"}
    token = redcap.add_project(project_xml(FIELDS, [row]))
    (group,) = ask(token, "dag", format="json").json()
    assert (group["data_access_group_name"], group["unique_group_name"]) == ("north", "north")


def test_labels_with_markup_are_taken_from_the_formatted_text(
    redcap: Any, xml: str, ask: Any
) -> None:
    plain = "<TranslatedText>notes</TranslatedText>"
    formatted = plain + (
        "<redcap:FormattedTranslatedText>&lt;b&gt;notes&lt;/b&gt;</redcap:FormattedTranslatedText>"
    )
    token = redcap.add_project(xml.replace(plain, formatted))
    (field,) = ask(token, "metadata", format="json", fields="notes").json()
    assert field["field_label"] == "<b>notes</b>"


def test_billions_of_laughs_are_never_expanded() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><ODM>&b;</ODM>'
    with pytest.raises(ProjectFileError, match="declares a document type"):
        list(iter_xml(io.BytesIO(bomb), "bomb.xml"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "abc"}, "An API token is 32 hexadecimal digits."),
        (
            {"data_access_group": "west"},
            "The project has no data access group 'west'; it has none.",
        ),
    ],
)
def test_what_cannot_be_given_is_refused(
    redcap: Any, xml: str, options: dict[str, str], message: str
) -> None:
    before = project_count(redcap)
    with pytest.raises(EmulatorError) as refused:
        redcap.add_project(xml, **options)
    assert (str(refused.value), project_count(redcap)) == (message, before)


def test_a_token_or_number_is_given_once(redcap: Any, xml: str) -> None:
    redcap.add_project(xml, token="a" * 32, project_id=900)
    with pytest.raises(EmulatorError, match="There is a project 900 already"):
        redcap.add_project(xml, project_id=900)
    with pytest.raises(EmulatorError, match="is taken already"):
        redcap.add_project(xml, token="A" * 32)
