"""How much one request asks for."""

from redcap_dagster.export.pace import Pace

MUCH = 160_000_000


def sizes(pace: Pace, count: int) -> list[int]:
    return [pace.next_cells(MUCH)[0] for _ in range(count)]


def test_the_first_requests_ask_for_a_quarter_of_the_budget_and_each_larger_size_is_tried() -> None:
    assert sizes(Pace(400_000, 4), 5) == [400_000, 200_000, 100_000, 100_000, 100_000]


def test_what_is_sent_with_a_trial_is_of_a_size_that_was_answered() -> None:
    assert Pace(400_000, 4).next_cells(MUCH) == (400_000, 100_000)


def test_a_larger_size_is_tried_once_before_the_others_get_it() -> None:
    pace = Pace(400_000, 4)
    assert sizes(pace, 3) == [400_000, 200_000, 100_000]
    pace.answered(100_000, 0.2)
    assert sizes(pace, 2) == [100_000, 100_000]
    pace.answered(200_000, 0.4)
    assert sizes(pace, 2) == [200_000, 200_000]
    pace.answered(400_000, 0.8)
    assert sizes(pace, 2) == [400_000, 400_000]


def test_small_answers_do_not_make_the_others_smaller_than_the_first() -> None:
    pace = Pace(400_000, 4)
    sizes(pace, 2)
    pace.answered(2_000, 0.1)
    assert sizes(pace, 1) == [100_000]


def test_a_trial_that_came_to_nothing_is_made_again() -> None:
    pace = Pace(400_000, 4)
    sizes(pace, 2)
    pace.answered(2_000, 0.1)  # the block had no more
    seen = []
    for _ in range(40):
        seen += sizes(pace, 1)
        pace.answered(seen[-1], 0.1)
    assert (seen[0], seen[-1]) == (100_000, 400_000)


def test_where_the_first_size_is_too_much_for_the_server_it_is_asked_for_half() -> None:
    pace = Pace(400_000, 4)
    sizes(pace, 3)
    pace.refused(400_000)
    pace.refused(200_000)
    assert sizes(pace, 2) == [100_000, 100_000]
    pace.refused(100_000)
    assert sizes(pace, 2) == [50_000, 50_000]


def test_a_refused_size_is_not_asked_for_again() -> None:
    pace = Pace(400_000, 4)
    pace.answered(100_000, 0.2)
    sizes(pace, 1)
    pace.refused(200_000)
    for _ in range(20):
        assert sizes(pace, 1) == [100_000]
        pace.answered(100_000, 0.2)
    pace.refused(100_000)
    assert sizes(pace, 1) == [50_000]


def test_a_refusal_is_forgotten_when_all_has_gone_well_for_long() -> None:
    pace = Pace(400_000, 4)
    pace.answered(100_000, 0.2)
    pace.refused(200_000)
    for _ in range(60):
        pace.answered(100_000, 0.2)
    assert sizes(pace, 2) == [400_000, 200_000]


def test_slow_answers_are_not_followed_by_larger_ones() -> None:
    pace = Pace(400_000, 4)
    pace.answered(100_000, 30.0)
    assert sizes(pace, 2) == [100_000, 100_000]
    pace.answered(100_000, 3.0)
    assert sizes(pace, 1) == [400_000]


def test_a_tiny_request_that_was_refused_does_not_make_the_others_tiny() -> None:
    pace = Pace(400_000, 4)
    pace.answered(100_000, 0.2)
    pace.refused(10)
    for _ in range(20):
        assert pace.next_cells(MUCH)[0] == 500
        pace.answered(500, 0.1)


def test_a_size_never_falls_to_nothing_nor_rises_above_the_budget() -> None:
    for most in (100, 1_000):
        pace = Pace(most, 4)
        for _ in range(20):
            pace.refused(1)
        assert [0 < pace.next_cells(MUCH)[0] <= most for _ in range(4)] == [True] * 4


def test_the_last_requests_end_together() -> None:
    now = [0.0]
    pace = Pace(400_000, 4, clock=lambda: now[0])
    pace.answered(400_000, 1.0)
    with pace.under_way(400_000), pace.under_way(200_000):
        now[0] += 0.5  # half of the one is there, and all of the other
        assert pace.next_cells(1_000_000)[0] == 300_000
        pace.plan(300_000)
        assert pace.next_cells(700_000)[0] == 300_000


def test_what_is_left_is_shared_out_in_equal_rounds() -> None:
    pace = Pace(400_000, 4)
    pace.answered(400_000, 1.0)
    assert pace.next_cells(2_000_000)[0] == 250_000  # not four of 400,000 and four of 100,000


def test_little_is_not_cut_smaller_and_no_crumb_is_left() -> None:
    pace = Pace(400_000, 4)
    pace.answered(400_000, 1.0)
    assert pace.next_cells(150_000)[0] == 100_000
    assert pace.next_cells(120_000)[0] == 120_000
    assert pace.next_cells(0)[0] == 1


def test_requests_that_were_not_planned_do_not_make_the_rest_smaller() -> None:
    pace = Pace(400_000, 4)
    pace.answered(400_000, 1.0)
    with pace.under_way(50_000):
        pass
    assert pace.next_cells(1_600_000)[0] == 400_000


def test_it_begins_with_what_the_server_bore_last_time() -> None:
    pace = Pace(400_000, 4, Pace(400_000, 4).facts)
    assert sizes(pace, 3) == [400_000, 200_000, 100_000]
    pace.answered(200_000, 0.6)
    assert sizes(Pace(400_000, 4, pace.facts), 2) == [400_000, 200_000]
    assert sizes(Pace(200_000, 4, pace.facts), 2) == [200_000, 200_000]
    limited = Pace(400_000, 4)
    limited.answered(90_000, 0.2)
    limited.refused(200_000)
    assert sizes(Pace(400_000, 4, limited.facts), 4) == [100_000] * 4


def test_a_request_that_came_out_smaller_is_the_trial_of_its_own_size() -> None:
    pace = Pace(400_000, 4)
    assert pace.next_cells(MUCH) == (400_000, 100_000)
    assert pace.may_send(400_000, 170_000)
    assert pace.next_cells(MUCH) == (400_000, 100_000)  # which nobody has tried
    assert not pace.may_send(400_000, 180_000)  # a second one, and the first was not answered
    pace.answered(170_000, 0.3)
    first, others = pace.next_cells(MUCH)
    assert first == 400_000
    assert 169_000 < others <= 170_000


def test_a_request_that_came_out_no_larger_than_the_others_is_no_trial() -> None:
    pace = Pace(400_000, 4)
    assert pace.next_cells(MUCH) == (400_000, 100_000)
    assert pace.may_send(400_000, 90_000)
    assert sizes(pace, 3) == [400_000, 200_000, 100_000]
