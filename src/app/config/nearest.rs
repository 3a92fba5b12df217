//! The known name that a misspelt one most likely means.

/// The candidate nearest to a name, `None` when none is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer names are no misspellings of ours, and the work grows with the square.
    const LONGEST: usize = 64;
    let name: Vec<char> = name.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    if name.len() > LONGEST {
        return None;
    }
    let allowed = (name.len() / 3).max(1);
    let scored = candidates.map(|candidate| {
        let letters: Vec<char> = candidate.chars().collect();
        (distance(&name, &letters), candidate)
    });
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= allowed).then_some(best.1)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour to make one of the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = last[j] + usize::from(a != b);
            let mut cost = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_found() {
        let known = ["listen", "max_connections", "pid", "vhost", "hls"];
        let cases = [
            ("lisetn", Some("listen")),
            ("Listen", Some("listen")),
            ("max_connection", Some("max_connections")),
            ("maxconnections", Some("max_connections")),
            ("hsl", Some("hls")),
            ("vhosts", Some("vhost")),
            ("rtmp_port", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known.iter().copied()), expected, "{name}");
        }
    }

    #[test]
    fn distances_are_exact() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        for (one, other, expected) in [("", "", 0), ("", "abc", 3), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(&letters(one), &letters(other)), expected, "{one} {other}");
        }
    }
}
