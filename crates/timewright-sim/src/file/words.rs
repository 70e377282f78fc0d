//! Lines as words, and tables of keys with values.

/// A key of a statement such as `clock` or `link`.
pub(super) struct Key<T: 'static> {
    /// The word.
    pub(super) name: &'static str,
    /// What its values are, for messages and the manual.
    pub(super) value: &'static str,
    /// Takes the values and stores them.
    pub(super) set: fn(&mut T, &mut Words<'_>) -> Result<(), String>,
}

/// The words of a line that are not read yet.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) const fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// What is left of the line, without blanks around it.
    pub(super) const fn rest(&self) -> &'a str {
        self.rest.trim_ascii()
    }

    /// The next word; a `#` at the beginning of one ends the line.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_ascii_start();
        if rest.is_empty() || rest.starts_with('#') {
            self.rest = "";
            return None;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        Some(word)
    }

    /// The next word without taking it.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.clone().next()
    }

    /// The next word, which must be there.
    pub(super) fn need(&mut self, what: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    /// The next word as a value of a key.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        let word = self
            .next()
            .ok_or_else(|| format!("a value of `{key}` is missing"))?;
        read(word).map_err(|why| format!("{key}: {why}"))
    }

    /// All that are left.
    pub(super) fn all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next())
            .map(str::to_owned)
            .collect()
    }

    /// Complains about words nobody asked for.
    pub(super) fn end(&mut self) -> Result<(), String> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(format!("`{word}` is too much")),
        }
    }

    /// Reads keys and their values to the end of the line.
    pub(super) fn apply<T>(
        &mut self,
        statement: &str,
        keys: &[Key<T>],
        target: &mut T,
    ) -> Result<(), String> {
        while let Some(word) = self.next() {
            let key = keys
                .iter()
                .find(|key| key.name.eq_ignore_ascii_case(word))
                .ok_or_else(|| unknown(word, statement, keys.iter().map(|key| key.name)))?;
            (key.set)(target, self).map_err(|why| {
                if key.value.is_empty() {
                    why
                } else {
                    format!("{why} (`{} {}`)", key.name, key.value)
                }
            })?;
        }
        Ok(())
    }
}

/// The complaint about a word that is not in a table.
pub(super) fn unknown<'n>(
    word: &str,
    what: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    format!(
        "`{word}` is unknown to `{what}`; it knows {}",
        names.join(", ")
    )
}
