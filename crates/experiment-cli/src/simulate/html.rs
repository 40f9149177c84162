//! The page with a plot: one file that needs nothing else.

use std::fmt::Write;

use super::{
    Split,
    chart::{places, rounded, verdict},
    grouped,
};

/// Width of the plot in its own units.
const WIDTH: f64 = 720.0;
/// Where bars begin; labels are left of it.
const LEFT: f64 = 170.0;
/// Where the longest bar ends; its share is right of it.
const RIGHT: f64 = 640.0;
/// Height of one variant.
const ROW: f64 = 56.0;
/// Height of one bar.
const BAR: f64 = 18.0;
/// Above the first variant.
const TOP: f64 = 40.0;
/// Labels in the plot longer than this are cut; the table has them in full.
const LABEL: usize = 22;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2328;--faint:#656d76;--line:#d0d7de;--paper:#ffffff;\
--observed:#1f6feb;--expected:#c9d1d9}\
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#8d96a0;--line:#30363d;\
--paper:#0d1117;--observed:#4493f8;--expected:#484f58}}\
body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;\
max-width:46rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem;margin:0 0 .25rem}p{margin:.5rem 0}.faint{color:var(--faint)}\
svg{width:100%;height:auto;margin:1rem 0}svg text{fill:var(--ink);font:13px system-ui,sans-serif}\
svg .faint{fill:var(--faint)}svg line{stroke:var(--line)}\
.observed{fill:var(--observed)}.expected{fill:var(--expected)}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right}\
th:first-child,td:first-child{text-align:left}";

/// The page.
pub(super) fn page(split: &Split) -> String {
    let flag = escaped(&split.flag);
    let mut page = String::new();
    // A string can always be written, here and below.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>Split of {flag}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Split of <code>{flag}</code></h1>\n<p class=\"faint\">{}</p>\n",
        escaped(&split.users),
    );
    plot(&mut page, split);
    table(&mut page, split);
    for note in places(split).chain([verdict(split)]) {
        let _ = writeln!(page, "<p>{}</p>", escaped(&note));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn plot(page: &mut String, split: &Split) {
    let rows = split
        .rows
        .len()
        .try_into()
        .map_or(0.0, |rows: u32| f64::from(rows));
    let bottom = TOP + rows * ROW;
    let largest = split
        .rows
        .iter()
        .flat_map(|row| [row.observed_share, row.expected_share])
        .fold(f64::MIN_POSITIVE, f64::max);
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Observed and expected share of each variant\">\n\
         <rect class=\"observed\" x=\"{LEFT}\" y=\"8\" width=\"12\" height=\"12\" rx=\"2\"/>\
         <text x=\"{:.0}\" y=\"18\">observed</text>\n\
         <rect class=\"expected\" x=\"{:.0}\" y=\"8\" width=\"12\" height=\"12\" rx=\"2\"/>\
         <text x=\"{:.0}\" y=\"18\">expected</text>",
        bottom + 8.0,
        LEFT + 18.0,
        LEFT + 100.0,
        LEFT + 118.0,
    );
    for (row, at) in split.rows.iter().zip(0_u32..) {
        let top = TOP + f64::from(at) * ROW;
        let _ = writeln!(
            page,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            top + BAR + 5.0,
            escaped(&crate::table::cut(&row.label, LABEL)),
        );
        for (class, share, y) in [
            ("observed", row.observed_share, top),
            ("expected", row.expected_share, top + BAR + 2.0),
        ] {
            let width = (RIGHT - LEFT) * share / largest;
            let faint = if class == "expected" {
                " class=\"faint\""
            } else {
                ""
            };
            let _ = writeln!(
                page,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{BAR}\" rx=\"2\"/>\
                 <text{faint} x=\"{:.2}\" y=\"{:.1}\">{:.2} %</text>",
                LEFT + width + 8.0,
                y + 13.5,
                share * 100.0,
            );
        }
    }
    let _ = writeln!(
        page,
        "<line x1=\"{LEFT}\" y1=\"{:.0}\" x2=\"{LEFT}\" y2=\"{bottom:.0}\"/>\n</svg>",
        TOP - 6.0
    );
}

fn table(page: &mut String, split: &Split) {
    page.push_str(
        "<table>\n<thead><tr><th>variant</th><th>observed</th><th>share</th><th>expected</th>\
         <th>share</th><th>points apart</th></tr></thead>\n<tbody>\n",
    );
    for row in &split.rows {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{:.2} %</td><td>{}</td><td>{:.2} %</td><td>{:+.2}</td></tr>",
            escaped(&row.label),
            grouped(row.observed),
            row.observed_share * 100.0,
            rounded(row.expected),
            row.expected_share * 100.0,
            (row.observed_share - row.expected_share) * 100.0,
        );
    }
    page.push_str("</tbody>\n</table>\n");
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
