-- Mean FEV1 in percent of predicted at each visit, by arm, with a 95 % interval
-- (mean ± 1.96 standard errors). Values no lung can have are left out and counted.
-- Fewer than 5 measurements are no trend and could point at a person: they are null.
with measured as (
    select
        planned_visits.visit_order,
        planned_visits.event,
        planned_visits.day,
        spirometry.redcap_arm_number as arm_number,
        spirometry.redcap_arm_name as arm,
        spirometry.fev1_percent_predicted as value,
        value between 10 and 200 as is_plausible
    from spirometry
    join planned_visits on planned_visits.event = spirometry.redcap_event_label
    where spirometry.fev1_percent_predicted is not null
),
summed as (
    select
        visit_order,
        event,
        day,
        arm_number,
        arm,
        count(*) filter (is_plausible) as measurements,
        count(*) filter (not is_plausible) as implausible_left_out,
        avg(value) filter (is_plausible) as mean,
        1.96 * stddev_samp(value) filter (is_plausible) / sqrt(measurements) as half_width
    from measured
    group by all
)
select
    event,
    day,
    arm_number,
    arm,
    measurements,
    implausible_left_out,
    case when measurements >= 5 then round(mean, 2) end as mean_percent_predicted,
    case when measurements >= 5 then round(mean - half_width, 2) end as lower_95,
    case when measurements >= 5 then round(mean + half_width, 2) end as upper_95
from summed
order by visit_order, arm_number
