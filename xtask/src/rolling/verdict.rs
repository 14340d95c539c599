//! What clients have seen, beside what they may see.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The longest time that a client may be away.
const AWAY: u64 = 5000;

/// What the clients tell.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(super) struct Figures {
    /// Writes that were acknowledged.
    written: u64,
    /// Of these, those of which nobody has heard.
    lost: u64,
    /// Writes that are in a room more than once.
    twice: u64,
    /// Writes that had no answer at the end.
    unanswered: u64,
    /// Refusals of writes, which were tried again, by their code.
    refusals: BTreeMap<String, u64>,
    /// How often a client could not be told what it had missed.
    gaps: u64,
    /// Clients that have not heard everything at the end.
    behind: u64,
    /// Connections that ended.
    ended: u64,
    longest_away_ms: u64,
    /// Clients that were away when the time was over.
    away: u64,
    /// Requests through the proxy.
    requests: u64,
    failed: u64,
    /// Their answers, by status.
    failures: BTreeMap<String, u64>,
    slowest_ms: u64,
}

/// What came of both changes.
pub(super) struct Seen {
    pub(super) figures: Figures,
    /// How long the change to the good image took, and that to the broken one.
    pub(super) good: Duration,
    pub(super) broken: Duration,
}

impl Seen {
    /// What is not as it must be.
    pub(super) fn broken(&self) -> Vec<String> {
        let figures = &self.figures;
        let none = [
            (figures.lost, "acknowledged writes are lost"),
            (figures.twice, "writes were carried out more than once"),
            (figures.unanswered, "writes were never answered"),
            (figures.gaps, "times a client could not be told what it had missed"),
            (figures.behind, "clients have not heard everything"),
            (figures.away, "clients did not come back"),
            (figures.failed, "requests failed"),
        ];
        let mut broken: Vec<String> = none
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if figures.longest_away_ms > AWAY {
            broken.push(format!(
                "a client was away for {}, and {} are allowed",
                seconds(figures.longest_away_ms),
                seconds(AWAY)
            ));
        }
        // Nothing that is counted is broken by a crowd that does nothing.
        if figures.written == 0 || figures.requests == 0 {
            broken.push("nobody has written, or nobody has asked".to_owned());
        }
        broken
    }

    fn cells(&self) -> Vec<String> {
        let figures = &self.figures;
        let failures = match listed(&figures.failures) {
            list if list.is_empty() => list,
            list => format!(" ({list})"),
        };
        let refusals = match listed(&figures.refusals) {
            list if list.is_empty() => "0".to_owned(),
            list => list,
        };
        let lost = |count: u64| format!("{count} of {}", figures.written);
        vec![
            lost(figures.lost),
            lost(figures.twice),
            refusals,
            figures.gaps.to_string(),
            seconds(figures.longest_away_ms),
            figures.away.to_string(),
            figures.ended.to_string(),
            format!("{} of {}{failures}", figures.failed, figures.requests),
            seconds(figures.slowest_ms),
            format!("{:.1} s", self.good.as_secs_f64()),
            format!("{:.1} s", self.broken.as_secs_f64()),
        ]
    }
}

/// Each figure with its bound.
const ROWS: [&str; 11] = [
    "acknowledged writes lost (0)",
    "writes carried out twice (0)",
    "writes refused, and tried again",
    "gaps that were not recovered (0)",
    "longest time a client was away (≤ 5 s)",
    "clients away at the end (0)",
    "connections that ended",
    "HTTP requests failed (0)",
    "slowest HTTP answer",
    "the good image took",
    "the broken image took",
];

/// Both, side by side.
pub(super) fn table(clients: u32, ours: &Seen, theirs: Option<&Seen>) -> String {
    let mut text = format!("{:40}{:>30}", format!("{clients} clients"), "stackctl up -d --rolling");
    if theirs.is_some() {
        let _ = write!(text, "  {:>52}", "docker compose up -d");
    }
    text.push('\n');
    let others = theirs.map(Seen::cells);
    for (index, (row, cell)) in ROWS.iter().zip(ours.cells()).enumerate() {
        let _ = write!(text, "{row:40}{cell:>30}");
        if let Some(others) = &others {
            let _ = write!(text, "  {:>52}", others[index]);
        }
        text.push('\n');
    }
    text
}

/// Counts as one phrase.
fn listed(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(what, count)| format!("{count} × {what}")).collect::<Vec<_>>().join(", ")
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(change: impl FnOnce(&mut Figures)) -> Seen {
        let mut figures = Figures { written: 9, requests: 9, longest_away_ms: 5000, ..Figures::default() };
        change(&mut figures);
        Seen { figures, good: Duration::from_secs(4), broken: Duration::from_millis(2500) }
    }

    #[test]
    fn every_bound_is_told_when_it_is_broken() {
        assert!(seen(|_| {}).broken().is_empty());
        let worse: [fn(&mut Figures); 9] = [
            |figures| figures.lost = 1,
            |figures| figures.twice = 1,
            |figures| figures.unanswered = 1,
            |figures| figures.gaps = 1,
            |figures| figures.behind = 1,
            |figures| figures.away = 1,
            |figures| figures.failed = 1,
            |figures| figures.longest_away_ms = 5001,
            |figures| figures.written = 0,
        ];
        for change in worse {
            let broken = seen(change).broken();
            assert_eq!(broken.len(), 1, "{broken:?}");
        }
    }

    #[test]
    fn both_stand_side_by_side() {
        let theirs = seen(|figures| {
            figures.failed = 3;
            figures.failures = BTreeMap::from([("502".to_owned(), 2), ("no answer".to_owned(), 1)]);
        });
        let text = table(20, &seen(|_| {}), Some(&theirs));
        assert_eq!(text.lines().count(), ROWS.len() + 1);
        assert!(text.contains("3 of 9 (2 × 502, 1 × no answer)"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() == 124), "{text}");
        assert_eq!(table(20, &theirs, None).lines().next().map(|line| line.chars().count()), Some(70));
    }
}
