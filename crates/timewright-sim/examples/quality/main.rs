//! Writes the quality page, `docs/quality.md`, and its plots.
//!
//! ```text
//! cargo xtask quality
//! ```
//!
//! Every figure of ours on the page comes from runs made here, in this process; those of others
//! are measurements of this project in `docs/quality/*.csv`, or published, with their origin named
//! on the page. Equal programs write equal pages: nothing on it depends on machine or date.

mod grid;
mod page;
mod published;
mod start;

use std::path::Path;

type Failure = Box<dyn std::error::Error>;

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Seeds of a cell of the grid.
    pub(crate) seeds: usize,
    /// Runs of a published test.
    pub(crate) runs: u64,
    /// Length of runs, in units of that of the page.
    pub(crate) length: f64,
}

/// What the committed page is made with.
const FULL: Effort = Effort {
    seeds: 9,
    runs: 50,
    length: 1.0,
};
/// Enough to see that the page can be made.
const QUICK: Effort = Effort {
    seeds: 1,
    runs: 2,
    length: 0.02,
};

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (directory, effort) = match words.as_slice() {
        [directory] => (*directory, FULL),
        ["--quick", directory] => (*directory, QUICK),
        _ => return Err("usage: quality [--quick] DIRECTORY".into()),
    };
    let directory = Path::new(directory);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/quality");
    let read = |name: &str| std::fs::read_to_string(data.join(name));

    let grid = grid::run(&read("chrony-4.8.csv")?, effort)?;
    let start = start::run(&read("chrony-4.8-start.csv")?, effort)?;
    let published = published::run(effort)?;

    let pictures = directory.join("quality");
    std::fs::create_dir_all(&pictures)?;
    let charts = grid
        .charts()
        .into_iter()
        .chain(published::charts(&published));
    for (name, chart) in charts {
        std::fs::write(pictures.join(name), chart.svg())?;
    }
    let text = page::text(effort, &grid, &start, &published);
    std::fs::write(directory.join("quality.md"), text)?;
    Ok(())
}

/// One line of a file in which fields are separated by commas, by the names in its first line.
pub(crate) struct Record<'a> {
    head: &'a str,
    line: &'a str,
}

impl<'a> Record<'a> {
    /// The lines of a file.
    pub(crate) fn all(text: &'a str) -> impl Iterator<Item = Self> {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        lines.map(move |line| Self { head, line })
    }

    /// A field.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Failure> {
        let column = self.head.split(',').position(|n| n == name);
        let field = column.and_then(|c| self.line.split(',').nth(c));
        Ok(field.ok_or_else(|| format!("no {name} in {:?}", self.line))?)
    }

    /// A field that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<f64, Failure> {
        Ok(self.text(name)?.parse()?)
    }
}
