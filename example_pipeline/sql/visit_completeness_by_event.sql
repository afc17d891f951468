-- Visits that are due (the planned day plus its window is past) and how many of them took place.
-- "Past" is judged on the last day on which anybody was seen. Those who left the study stay due.
with as_of as (select max(visit_date) as day from spirometry),
due as (
    select
        planned_visits.visit_order,
        planned_visits.event,
        enrolment.redcap_arm_number as arm_number,
        enrolment.redcap_arm_name as arm,
        enrolment.participant_id
    from enrolment
    cross join planned_visits
    cross join as_of
    where
        enrolment.enrolment_date is not null
        and date_add(
            enrolment.consent_date, to_days((planned_visits.day + planned_visits.days_late)::integer)
        ) <= as_of.day
),
seen as (
    select distinct participant_id, redcap_event_label as event
    from spirometry
    where visit_date is not null
)
select
    due.event,
    due.arm_number,
    due.arm,
    count(*) as visits_due,
    count(seen.participant_id) as visits_done,
    round(100.0 * count(seen.participant_id) / count(*), 1) as percent_done
from due
left join seen on seen.participant_id = due.participant_id and seen.event = due.event
group by due.visit_order, due.event, due.arm_number, due.arm
order by due.visit_order, due.arm_number
