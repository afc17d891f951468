-- Participants enrolled in each month at each site, with months of no enrolment as 0.
-- A month and a site say nothing about a person's health, so small cells are shown.
with enrolled as (
    select
        date_trunc('month', enrolment_date)::date as month,
        coalesce(redcap_data_access_group, 'no site') as site
    from enrolment
    where enrolment_date is not null
),
months as (
    select unnest(generate_series(min(month)::timestamp, max(month)::timestamp, interval 1 month))::date as month
    from enrolled
),
sites as (select distinct site from enrolled),
counts as (
    select months.month, sites.site, count(enrolled.site) as participants
    from months
    cross join sites
    left join enrolled on enrolled.month = months.month and enrolled.site = sites.site
    group by all
)
select
    month,
    site,
    participants,
    sum(participants) over (partition by site order by month)::bigint as participants_so_far
from counts
order by month, site
