//! Replies of a Redis server.

use super::{Pieces, checked, split_seed};
use crate::core::limits::REDIS_REPLY_ITEMS;
use crate::protocol::redis::reply::{Reply, ReplyReader};

/// Two bytes of seed, then what a server says.
///
/// Laws: replies do not depend on how the bytes are cut, and hold no more than came and no more than their bound.
pub fn reply(input: &[u8]) {
    let Some((seed, bytes)) = split_seed(input) else {
        return;
    };
    let whole = read_all(std::iter::once(bytes));
    assert_eq!(
        whole,
        read_all(Pieces::new(bytes, seed)),
        "cuts of seed {seed} change the replies"
    );
    let (replies, _) = whole;
    assert!(replies.iter().map(held_bytes).sum::<usize>() <= bytes.len());
    assert!(replies.iter().all(|reply| items(reply) <= REDIS_REPLY_ITEMS));
}

fn read_all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Reply>, bool) {
    let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match checked(reader.pull()) {
                Some(Some(reply)) => replies.push(reply),
                Some(None) => break,
                None => return (replies, false),
            }
        }
    }
    (replies, true)
}

fn items(reply: &Reply) -> usize {
    match reply {
        Reply::Array(values) => 1 + values.iter().map(items).sum::<usize>(),
        _ => 1,
    }
}

/// Bytes of text that a reply holds. What is no UTF-8 grows when it is shown, so that is counted as characters.
fn held_bytes(reply: &Reply) -> usize {
    match reply {
        Reply::Simple(text) | Reply::Failure(text) => text.chars().count(),
        Reply::Bulk(bytes) => bytes.len(),
        Reply::Integer(_) | Reply::Nil => 1,
        Reply::Array(values) => values.iter().map(held_bytes).sum(),
    }
}
