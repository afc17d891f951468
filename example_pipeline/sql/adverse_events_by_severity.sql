-- Adverse events and the participants who had them, by severity and arm.
-- A severity that fewer than 5 participants of an arm had could point at a person: its counts are
-- null and `is_suppressed` is true. A severity that nobody had is 0.
with severities (severity_order, code, severity) as (
    values (1, '1', 'Mild'), (2, '2', 'Moderate'), (3, '3', 'Severe'), (4, '4', 'Life-threatening')
),
arms as (
    select
        redcap_arm_number as arm_number,
        redcap_arm_name as arm,
        count(*) as participants_in_arm
    from enrolment
    where enrolment_date is not null
    group by all
),
counts as (
    select
        severities.severity_order,
        severities.severity,
        arms.arm_number,
        arms.arm,
        arms.participants_in_arm,
        count(adverse_events.participant_id) as events,
        count(*) filter (adverse_events.ae_serious) as serious_events,
        count(distinct adverse_events.participant_id) as participants
    from severities
    cross join arms
    left join adverse_events
        on adverse_events.ae_severity = severities.code
        and adverse_events.redcap_arm_number = arms.arm_number
    group by all
)
select
    severity,
    arm_number,
    arm,
    participants_in_arm,
    participants between 1 and 4 as is_suppressed,
    case when not is_suppressed then events end as events,
    case when not is_suppressed then serious_events end as serious_events,
    case when not is_suppressed then participants end as participants,
    case
        when not is_suppressed then round(100.0 * participants / participants_in_arm, 1)
    end as percent_of_arm
from counts
order by severity_order, arm_number
