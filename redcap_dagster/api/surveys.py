"""Surveys: links and codes of one record."""

from redcap_dagster.api.call import Call
from redcap_dagster.api.failure import Failure
from redcap_dagster.api.parameters import Value, build_pairs
from redcap_dagster.api.writes import Writes

_OK = 200


class Surveys(Writes):
    """Methods for surveys. The token's user needs the Survey Distribution Tools right.

    Links and codes let anybody answer in the participant's place: treat them as secrets.
    """

    def export_survey_link(
        self, record: str, instrument: str, event: str | None = None, repeat_instance: int = 1
    ) -> str:
        """The link to a record's survey.

        Args:
            record: Record id.
            instrument: Name of the survey's instrument.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance.
        """
        return self._word("surveyLink", record, instrument, event, repeat_instance)

    def export_survey_queue_link(self, record: str) -> str:
        """The link to a record's survey queue, where the project uses one."""
        return self._word("surveyQueueLink", record)

    def export_survey_return_code(
        self, record: str, instrument: str, event: str | None = None, repeat_instance: int = 1
    ) -> str:
        """The code by which a respondent returns to a survey they left.

        Args:
            record: Record id.
            instrument: Name of the survey's instrument.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance.
        """
        return self._word("surveyReturnCode", record, instrument, event, repeat_instance)

    def export_survey_access_code(
        self, record: str, instrument: str, event: str | None = None, repeat_instance: int = 1
    ) -> str:
        """The code that opens a record's survey on REDCap's survey page.

        Args:
            record: Record id.
            instrument: Name of the survey's instrument.
            event: Unique event name, in a longitudinal project.
            repeat_instance: Number of the instance.
        """
        return self._word("surveyAccessCode", record, instrument, event, repeat_instance)

    def _word(
        self,
        content: str,
        record: str,
        instrument: str | None = None,
        event: str | None = None,
        repeat_instance: int | None = None,
    ) -> str:
        values: dict[str, Value] = {
            "record": record,
            "instrument": instrument,
            "event": event,
            "repeat_instance": repeat_instance,
        }

        def read(body: bytes) -> str | Failure:
            word = body.decode("utf-8", "replace").strip().strip('"').replace("\\/", "/")
            if word and len(word.split()) == 1:
                return word
            return Failure("not_as_asked", "the answer is not one link or code.", _OK)

        return self._sender.send(Call(content, "text", build_pairs(values), ""), read)
