//! Texts in pictures: how much room they take, and how they are cut and escaped.

use jiff::{SignedDuration, Timestamp};

/// At most so many letters. The end stays, because the keys of a set differ there.
pub(super) fn elide(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most || most == 0 {
        return text.to_owned();
    }
    let (head, tail) = ((most - 1) / 2, most - 1 - (most - 1) / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// Lines of at most so many letters, if its words are not longer.
pub(super) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= most) {
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A window of time, as finely as it needs.
pub(super) fn range(from: Timestamp, until: Timestamp) -> String {
    let short = until.duration_since(from) < SignedDuration::from_hours(1);
    let format = if short { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    format!("{} to {} UTC", from.strftime(format), until.strftime(format))
}

/// As text or as the value of an attribute, in XML as in HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML cannot say these at all.
            letter if letter.is_control() && letter != '\n' => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// No less than the width of a text in any usual sans-serif font of that size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |letter: char| match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '/' | '-' => 0.6,
        'm' | 'w' | 'M' | 'W' | '…' | '@' => 1.0,
        'A'..='Z' | '+' | '=' => 0.84,
        letter if letter.is_ascii() => 0.66,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f64>() * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_stays() {
        assert_eq!(elide("payments-1", 18), "payments-1");
        assert_eq!(elide("a-very-long-name-of-a-set-12", 10), "a-ve…et-12");
    }

    #[test]
    fn words_move_to_the_next_line() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("longer than that", 5), ["longer", "than", "that"]);
    }

    #[test]
    fn markup_stays_text() {
        assert_eq!(escape("<a href=\"x\">&'\u{1}"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}");
    }
}
