//! Reports of chronyc in its comma separated form (`chronyc -c`), taken apart.

use crate::Host;

/// Rows of a report; an unsuccessful command gives none.
#[must_use]
pub fn csv(host: &Host, command: &str) -> Vec<Vec<String>> {
    csv_by("chronyc", host, command)
}

/// Like [`csv`] with another control client: Debian's for the reports whose form has changed since.
#[must_use]
pub fn csv_by(client: &str, host: &Host, command: &str) -> Vec<Vec<String>> {
    let output = host.shell(&format!("{client} -n -c {command}"));
    if output.status != 0 {
        return Vec::new();
    }
    output
        .stdout
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}

/// Mode, state and name of each source, such as `("^*", "192.168.163.131")`.
#[must_use]
pub fn source_states(host: &Host) -> Vec<(String, String)> {
    let rows = csv(host, "sources");
    let row = |row: Vec<String>| {
        Some((
            format!("{}{}", row.first()?, row.get(1)?),
            row.get(2)?.clone(),
        ))
    };
    rows.into_iter().filter_map(row).collect()
}

/// The fields of `tracking` that tests look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracking {
    /// Reference identifier in hexadecimal.
    pub reference_id: String,
    /// Name or address of the reference.
    pub name: String,
    /// Stratum of this host; 0 when not synchronised.
    pub stratum: u8,
    /// Correction still to be applied, seconds.
    pub system_time: f64,
    /// Frequency, ppm.
    pub frequency: f64,
    /// Error bound of the frequency, ppm.
    pub skew: f64,
    /// Leap status in words.
    pub leap: String,
}

impl Tracking {
    /// Asks the daemon of `host`; `None` when it does not answer.
    #[must_use]
    pub fn of(host: &Host) -> Option<Self> {
        let rows = csv(host, "tracking");
        let row = rows.first()?;
        let number = |index: usize| row.get(index)?.parse().ok();
        Some(Self {
            reference_id: row.first()?.clone(),
            name: row.get(1)?.clone(),
            stratum: row.get(2)?.parse().ok()?,
            system_time: number(4)?,
            frequency: number(7)?,
            skew: number(9)?,
            leap: row.get(13)?.clone(),
        })
    }
}
