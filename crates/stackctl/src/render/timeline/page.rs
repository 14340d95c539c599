//! A waterfall as a picture: SVG, alone or in a page that needs nothing else.

use std::time::Duration;

use super::{End, Timeline};
use crate::render::junit::escaped;
use crate::render::words;

const ROW: usize = 24;
const HEAD: usize = 48;
const CHART: f64 = 760.0;
/// The widest that a name may be, characters; a longer one is cut.
const LONGEST_NAME: usize = 40;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#222}\
.dim{fill:#667}\
.grid{stroke:#d8d8de}\
.bar{fill:#8fb4e3}\
.critical{fill:#d9822b}\
.failed{fill:#c23030}\
.open{fill:#b8b8c0}\
.gap{stroke:#b8b8c0;stroke-dasharray:2 3}\
.paper{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#eee}.dim{fill:#aab}.grid{stroke:#3a3a44}.paper{fill:#18181c}}";

/// The waterfall as SVG.
pub(crate) fn svg(timeline: &Timeline) -> String {
    let rows = timeline.by_address();
    let longest = rows.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(LONGEST_NAME);
    let left = 24 + longest * 8;
    let width = left as f64 + CHART + 190.0;
    let height = HEAD + rows.len() * ROW + 44;
    let whole = timeline.took.max(Duration::from_millis(1)).as_secs_f64();
    let x = |time: Duration| left as f64 + time.as_secs_f64() / whole * CHART;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height}\" width=\"{width:.0}\" height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n<text x=\"12\" y=\"20\">{title}</text>\n",
        title = escaped(&timeline.title()),
    );
    for tick in 0..=4 {
        let time = timeline.took * tick / 4;
        let at = x(time);
        out.push_str(&format!(
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{HEAD}\" x2=\"{at:.1}\" y2=\"{}\"/><text class=\"dim\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            HEAD + rows.len() * ROW,
            HEAD - 8,
            words::took(time)
        ));
    }
    for (index, (address, bars)) in rows.iter().enumerate() {
        let top = HEAD + index * ROW;
        let name: String = address.chars().take(LONGEST_NAME).collect();
        out.push_str(&format!("<text x=\"12\" y=\"{}\">{}</text>\n", top + 16, escaped(&name)));
        let (first, last) =
            (timeline.bars[bars[0]].from, bars.iter().map(|bar| timeline.bars[*bar].to).max());
        let last = last.unwrap_or(first);
        let middle = top + ROW / 2;
        out.push_str(&format!(
            "<line class=\"gap\" x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\"/>\n",
            x(first),
            x(last)
        ));
        for bar in bars.iter().map(|bar| &timeline.bars[*bar]) {
            let class = match bar.end {
                End::Failed => "failed",
                End::Open => "open",
                End::Done if bar.critical => "critical",
                End::Done => "bar",
            };
            let (from, to) = (x(bar.from), x(bar.to));
            let path = if bar.critical { ", on the critical path" } else { "" };
            out.push_str(&format!(
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"2\"><title>{}</title></rect>\n",
                top + 5,
                (to - from).max(1.5),
                ROW - 10,
                escaped(&format!(
                    "{} {}: {} ({}, from {} to {}){path}",
                    bar.address,
                    bar.action,
                    bar.text,
                    bar.end.word(),
                    words::took(bar.from),
                    words::took(bar.to)
                ))
            ));
        }
        let mut label = words::took(last - first);
        if let Some((other, time)) = timeline.waited(bars) {
            label.push_str(&format!(", waited {} for {other}", words::took(time)));
        }
        out.push_str(&format!(
            "<text class=\"dim\" x=\"{:.1}\" y=\"{}\">{}</text>\n",
            left as f64 + CHART + 10.0,
            top + 16,
            escaped(&label)
        ));
    }
    let path: Vec<String> = timeline.critical().map(|bar| format!("{} {}", bar.address, bar.text)).collect();
    out.push_str(&format!(
        "<text class=\"dim\" x=\"12\" y=\"{}\">orange: the critical path, {}</text>\n</svg>\n",
        HEAD + rows.len() * ROW + 24,
        escaped(&path.join(" → "))
    ));
    out
}

/// The waterfall as a page that needs nothing else, with the steps in a table below it.
pub(crate) fn html(timeline: &Timeline) -> String {
    let mut rows = String::new();
    for bar in &timeline.bars {
        let cells = [
            bar.address.clone(),
            bar.text.clone(),
            words::took(bar.from),
            words::took(bar.to - bar.from),
            bar.end.word().to_owned(),
            if bar.critical { "yes".to_owned() } else { String::new() },
        ];
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        rows.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>body{{font:14px system-ui,sans-serif;margin:1.5rem}}svg{{max-width:100%;height:auto}}table{{border-collapse:collapse}}td,th{{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #8884}}</style>\n{svg}<table>\n<tr><th>resource</th><th>what</th><th>begun at</th><th>took</th><th>outcome</th><th>critical</th></tr>\n{rows}</table>\n</html>\n",
        title = escaped(&timeline.title()),
        svg = svg(timeline),
    )
}
