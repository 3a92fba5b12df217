//! What an answer of a callback server means: yes, or an error that tells why not.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log::printable;
use crate::protocol::http::answer::Answer;

/// How much of a body an error shows, characters.
const SHOWN: usize = 100;

/// Whether the answer is a yes: status 200 or 201, and the body `0` or an object with the number 0 as `code`.
///
/// # Errors
/// [`ErrorCode::HttpStatus`], [`ErrorCode::HttpResponseData`] for a body that is neither,
/// [`ErrorCode::HttpResponseCode`] for an object that says no.
pub(super) fn check(answer: &Answer) -> Result<()> {
    if !matches!(answer.status, 200 | 201) {
        let text = format!("answer has status {}, not 200 or 201", answer.status);
        return Err(Error::new(ErrorCode::HttpStatus, text));
    }
    if answer.body == b"0" {
        return Ok(());
    }
    // The values stay text: making a tree of them would go as deep as they nest, on a small stack.
    match serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&answer.body) {
        Ok(fields) => match fields.get("code").and_then(|code| code.get().parse::<i64>().ok()) {
            Some(0) => Ok(()),
            Some(code) => Err(Error::new(
                ErrorCode::HttpResponseCode,
                format!("answer has code {code}"),
            )),
            None => Err(Error::new(ErrorCode::HttpResponseCode, "answer has no integer code")),
        },
        Err(_) => {
            let body = String::from_utf8_lossy(&answer.body);
            let shown: String = body.chars().take(SHOWN).collect();
            let text = format!("answer {} is neither 0 nor a JSON object", printable(&shown));
            Err(Error::new(ErrorCode::HttpResponseData, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::headers::Headers;

    #[test]
    fn answers_mean_what_the_contract_says() {
        let deep = "[".repeat(100_000);
        let cases = [
            (200, "0", 0),
            (201, "0", 0),
            (200, "{\"code\":0}", 0),
            (200, " {\"msg\":\"x\", \"code\": 0}\n", 0),
            (202, "0", 4005),
            (404, "0", 4005),
            (302, "0", 4005),
            (200, "", 3008),
            (200, "0\n", 3008),
            (200, " 0", 3008),
            (200, "1", 3008),
            (200, "00", 3008),
            (200, "[0]", 3008),
            (200, "null", 3008),
            (200, "ok", 3008),
            (200, "{\"code\":0", 3008),
            (200, &deep, 3008),
            (200, &format!("{{\"code\":0,\"a\":{deep}{}}}", "]".repeat(100_000)), 0),
            (200, "{}", 3064),
            (200, "{\"code\":1}", 3064),
            (200, "{\"code\":-1}", 3064),
            (200, "{\"code\":\"0\"}", 3064),
            (200, "{\"code\":null}", 3064),
            (200, "{\"code\":0.5}", 3064),
        ];
        for (status, body, number) in cases {
            let headers = Headers::default();
            let found = check(&Answer {
                status,
                headers,
                body: body.into(),
            });
            let found = found.err().map_or(0, |error| error.code().number());
            assert_eq!(found, number, "{status} {}", &body[..body.len().min(30)]);
        }
    }
}
