//! A very small backtest: a strategy over made-up prices, the same for the same symbol and days on every machine.

use jiff::civil::{Date, Weekday, date};
use serde::{Deserialize, Serialize};

use crate::errors::ApiError;

/// What a client asks for. What it leaves out has a default; what is not known here is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    symbol: String,
    strategy: Strategy,
    #[serde(alias = "start_date", with = "day")]
    start: Date,
    #[serde(alias = "end_date", with = "day")]
    end: Date,
    initial_capital: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    /// Everything into the symbol on the first day.
    BuyAndHold,
    /// In the market while the mean of 5 days is above that of 20.
    SmaCrossover,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            symbol: "SPY".to_owned(),
            strategy: Strategy::BuyAndHold,
            start: date(2023, 1, 1),
            end: date(2023, 12, 31),
            initial_capital: 100_000.0,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outcome {
    trading_days: usize,
    trades: usize,
    final_equity: f64,
    total_return: f64,
    max_drawdown: f64,
}

/// The end of one trading day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Day {
    #[serde(serialize_with = "day::serialize")]
    date: Date,
    equity: f64,
    /// So many until then.
    trades: usize,
}

impl Order {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let written: serde_json::Value =
            serde_json::from_slice(body).map_err(|error| ApiError::bad_request(format!("The body is not JSON: {error}")))?;
        if !written.is_object() {
            return Err(ApiError::unprocessable("The body is not a JSON object"));
        }
        let order: Self = serde_json::from_value(written).map_err(|error| ApiError::unprocessable(error.to_string()))?;
        order.check().map_or(Ok(order), |problem| Err(ApiError::unprocessable(problem)))
    }

    fn check(&self) -> Option<&'static str> {
        let is_symbol = |text: &str| {
            (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        };
        let days = (self.end - self.start).get_days();
        match () {
            () if !is_symbol(&self.symbol) => Some("symbol: write 1 to 16 letters, digits, dots or dashes"),
            () if days < 1 => Some("end: has to be after start"),
            () if days > 50 * 366 => Some("end: at most 50 years after start"),
            () if !(self.initial_capital > 0.0 && self.initial_capital <= 1e12) => {
                Some("initial_capital: write an amount above 0, at most 1e12")
            }
            () => None,
        }
    }

    /// How it went in all.
    pub(crate) fn run(&self) -> Outcome {
        let days = self.days();
        let (mut peak, mut max_drawdown) = (self.initial_capital, 0.0_f64);
        for day in &days {
            peak = peak.max(day.equity);
            max_drawdown = max_drawdown.max(1.0 - day.equity / peak);
        }
        let (trades, final_equity) = days.last().map_or((0, self.initial_capital), |day| (day.trades, day.equity));
        Outcome {
            trading_days: days.len(),
            trades,
            final_equity,
            total_return: final_equity / self.initial_capital - 1.0,
            max_drawdown,
        }
    }

    /// How it stood at the end of each day. Trades are made at a day's close, by what was known at the close before.
    pub(crate) fn days(&self) -> Vec<Day> {
        let closes = self.closes();
        let prices: Vec<f64> = closes.iter().map(|(_, price)| *price).collect();
        let (mut cash, mut shares, mut trades) = (self.initial_capital, 0.0, 0);
        closes
            .iter()
            .enumerate()
            .map(|(index, &(date, price))| {
                let wants_in = self.strategy.wants_in(&prices[..index]);
                if wants_in && shares == 0.0 {
                    (shares, cash, trades) = (cash / price, 0.0, trades + 1);
                } else if !wants_in && shares > 0.0 {
                    (cash, shares, trades) = (shares * price, 0.0, trades + 1);
                }
                Day { date, equity: cash + shares * price, trades }
            })
            .collect()
    }

    /// One close for each weekday: a walk whose steps come from the symbol and the day alone.
    fn closes(&self) -> Vec<(Date, f64)> {
        let seed = self.symbol.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte.to_ascii_uppercase())).wrapping_mul(0x0100_0000_01b3)
        });
        let mut price = 100.0;
        let is_open = |day: &Date| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let days = self.start.series(jiff::Span::new().days(1)).take_while(|day| *day <= self.end).filter(is_open);
        days.map(|day| {
            let number = u64::from(day.year().unsigned_abs()) << 16 | u64::from(day.day_of_year().unsigned_abs());
            // From -2 % to a little more than +2 %, in steps of a hundredth.
            let step = scrambled(seed ^ number) % 409;
            price *= 0.98 + step as f64 / 10_000.0;
            (day, price)
        })
        .collect()
    }
}

impl Strategy {
    fn wants_in(self, closes: &[f64]) -> bool {
        let mean = |days: usize| Some(closes.get(closes.len().checked_sub(days)?..)?.iter().sum::<f64>() / days as f64);
        match self {
            Self::BuyAndHold => true,
            Self::SmaCrossover => mean(20).zip(mean(5)).is_some_and(|(slow, fast)| fast > slow),
        }
    }
}

/// The end of SplitMix64: neighbouring numbers come out unlike each other.
fn scrambled(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Days as `2023-01-31`.
mod day {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let written = String::deserialize(deserializer)?;
        written.parse().map_err(|_| serde::de::Error::custom("a day is written like 2023-01-31"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(body: &str) -> Order {
        Order::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_order_always_ends_the_same() {
        let outcome = order(r#"{"symbol":"AAPL","start":"2023-01-02","end":"2023-03-31"}"#).run();
        assert_eq!(outcome, order(r#"{"symbol":"aapl","start_date":"2023-01-02","end_date":"2023-03-31"}"#).run());
        assert_eq!((outcome.trading_days, outcome.trades), (65, 1));
        assert_ne!(outcome, order(r#"{"symbol":"MSFT","start":"2023-01-02","end":"2023-03-31"}"#).run());
    }

    #[test]
    fn a_crossover_trades_and_never_owes() {
        let outcome = order(r#"{"strategy":"sma_crossover","start":"2010-01-01","end":"2019-12-31"}"#).run();
        assert!(outcome.trades > 10, "{outcome:?}");
        assert!(outcome.final_equity > 0.0 && (0.0..1.0).contains(&outcome.max_drawdown), "{outcome:?}");
    }

    #[test]
    fn the_furthest_days_are_counted() {
        assert_eq!(order(r#"{"start":"9990-01-01","end":"9999-12-31"}"#).run().trading_days, 2610);
    }

    #[test]
    fn what_cannot_be_run_is_told() {
        for body in [
            "",
            "[]",
            "7",
            "{",
            r#"{"symbol":""}"#,
            r#"{"symbol":"a b"}"#,
            r#"{"symbol":7}"#,
            r#"{"strategy":"guess"}"#,
            r#"{"start":"2023-02-30"}"#,
            r#"{"start":"2024-01-01","end":"2024-01-01"}"#,
            r#"{"start":"1900-01-01","end":"2000-01-01"}"#,
            r#"{"initial_capital":0}"#,
        ] {
            assert!(Order::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
