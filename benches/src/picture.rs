//! The picture for the README: a login's instructions as bars, in colours that can be read on light and on dark.

use std::fmt::Write as _;
use std::{fs, io};

use proofkey_benches::step::ROWS;

use crate::markdown::{Login, thousands};

pub fn write(names: &[&str], login: &Login) -> io::Result<()> {
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/login.svg"), draw(names, login))
}

fn draw(names: &[&str], login: &Login) -> String {
    let instructions = |column| login.instructions(column, &ROWS[0]);
    let mut columns: Vec<usize> = (0..names.len()).collect();
    columns.sort_by(|a, b| instructions(*a).total_cmp(&instructions(*b)));
    let most = columns.last().map_or(1.0, |column| instructions(*column));
    let height = 44 + 30 * columns.len();
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" width="760" height="{height}" role="img">
<title>Instructions of a whole login, by library</title>
<style>
text {{ font: 14px system-ui, sans-serif; fill: #24292f }}
.head {{ font-weight: 600 }}
rect {{ fill: #9aa4af }}
.ours {{ fill: #1a7f5a }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: #e6edf3 }}
  rect {{ fill: #5b6672 }}
  .ours {{ fill: #3fb68b }}
}}
</style>
<text class="head" x="0" y="18">A whole login in memory: instructions, and allocations with reallocations</text>
"#
    );
    for (row, column) in columns.into_iter().enumerate() {
        let (allocations, reallocations) = login.allocations(column, &ROWS[0]);
        let name = match names[column] {
            "floor" => "by hand, few checks",
            "shaped" => "by hand, all checks",
            name => name,
        };
        let class = if names[column] == "proofkey" { " class=\"ours\"" } else { "" };
        let (top, width) = (34 + 30 * row, 400.0 * instructions(column) / most);
        let figures = format!("{}; {}", thousands(instructions(column)), allocations + reallocations);
        // Written to a string, which does not fail.
        let _ = writeln!(
            svg,
            r#"<text x="0" y="{text}">{name}</text><rect{class} x="150" y="{top}" width="{width:.0}" height="20" rx="2"/><text x="{after:.0}" y="{text}">{figures}</text>"#,
            text = top + 15,
            after = 158.0 + width,
        );
    }
    svg + "</svg>\n"
}
