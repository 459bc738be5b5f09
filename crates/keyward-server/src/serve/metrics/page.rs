//! What a page of metrics says: numbers, under names and labels that are all written here. No id, address or secret is among them.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keyward::Guard;
use keyward_redis::{RedisLimits, RedisTickets};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::decisions::Decisions;
use crate::database::Cache;
use crate::serve::audit::Counts;
use crate::serve::places::Places;

/// Where the numbers are read, each time that somebody asks.
pub(in crate::serve) struct Page {
    pub(in crate::serve) decisions: Decisions,
    pub(in crate::serve) guard: Guard,
    pub(in crate::serve) audit: Arc<Counts>,
    pub(in crate::serve) places: Arc<Places>,
    pub(in crate::serve) cache: Option<Cache>,
    pub(in crate::serve) limits: Option<RedisLimits>,
    pub(in crate::serve) tickets: Option<RedisTickets>,
    pub(in crate::serve) started: SystemTime,
}

type Label = (&'static str, &'static str);

/// Writes metrics one after the other.
struct Writer<'e>(DescriptorEncoder<'e>);

impl Writer<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = ([Label; N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let mut build = writer.0.encode_descriptor("keyward_build_info", "Which program this is", None, MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(build.encode_family(&version)?)?;
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        writer.gauge("keyward_start_time_seconds", "When it was started, in seconds since 1970", started)?;
        writer.counters(
            "keyward_decisions",
            "Decisions about requests, by outcome and reason",
            self.decisions.decisions().iter().map(|count| ([("outcome", count.outcome), ("reason", count.reason)], count.read())),
        )?;
        writer.counters(
            "keyward_sign_ins",
            "Passwords that were given to sign in, by what became of it",
            self.decisions.sign_ins().iter().map(|count| ([("outcome", count.outcome)], count.read())),
        )?;
        if let Some(charged) = self.guard.failures_charged() {
            writer.counter(
                "keyward_failure_budget_charges",
                "Bad keys that were charged to the failure budget of an address",
                charged,
            )?;
        }
        writer.counters(
            "keyward_audit_events",
            "Audit events that were recorded, that could not be, and that were dropped for want of room",
            self.audit.read().into_iter().map(|(result, count)| ([("result", result)], count)),
        )?;
        writer.gauge("keyward_connections_open", "Connections now", self.places.count() as u64)?;
        writer.gauge("keyward_connections_limit", "Connections that there may be at once", self.places.most() as u64)?;
        self.store(&mut writer)?;
        self.redis(&mut writer)
    }
}

impl Page {
    fn store(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(cache) = &self.cache else { return Ok(()) };
        let told = cache();
        writer.gauge("keyward_store_cached_records", "Records of keys that are kept in memory now", told.records as u64)?;
        let results = [("answered", told.trips.saturating_sub(told.failed)), ("failed", told.failed)];
        writer.counters(
            "keyward_store_lookups",
            "Lookups of keys that asked the database, since memory did not have them",
            results.into_iter().map(|(result, count)| ([("result", result)], count)),
        )
    }

    fn redis(&self, writer: &mut Writer<'_>) -> fmt::Result {
        if let Some(limits) = &self.limits {
            let told = limits.statistics();
            writer.gauge(
                "keyward_redis_away",
                "1 while Redis is away and its breaker open, so that limits are not shared",
                told.away.into(),
            )?;
            writer.counter("keyward_redis_switches", "How often Redis went away or came back", told.switches)?;
            let takes = [("answered", told.taken), ("timed-out", told.timed_out), ("failed", told.failed)];
            writer.counters(
                "keyward_redis_takes",
                "Limits that Redis was asked to count",
                takes.into_iter().map(|(result, count)| ([("result", result)], count)),
            )?;
            writer.counter(
                "keyward_redis_answered_away",
                "Limits that were decided as the mode says, since Redis did not count them",
                told.answered_away,
            )?;
        }
        if let Some(tickets) = &self.tickets {
            writer.gauge(
                "keyward_redis_tickets_away",
                "1 while no ticket can be made or used, since Redis is away",
                tickets.is_away().into(),
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}
