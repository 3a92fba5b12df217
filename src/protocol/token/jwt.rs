//! JSON Web Tokens (RFC 7519): HS256 by a shared key, RS256 and ES256 by a public one.
//!
//! The algorithm that a token names only picks among the keys of its kind: a public key never serves as a shared secret,
//! and `none` is no algorithm here.

use std::fmt;
use std::net::IpAddr;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::pattern;
use super::{Now, Wish};
use crate::core::limits::TOKEN_BYTES;

/// A key that verifies RS256 or ES256.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    key: DecodingKey,
    pem: Vec<u8>,
}

/// Two are the same when their texts are.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

impl PublicKey {
    /// Reads a public key of RSA, or of ECDSA over P-256, from PEM.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let rsa = || DecodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
        let ec = || DecodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key));
        let (algorithm, key) = rsa()
            .or_else(|_| ec())
            .map_err(|error| format!("no public key of RSA or ECDSA in PEM ({error})"))?;
        Ok(PublicKey {
            algorithm,
            key,
            pem: pem.to_vec(),
        })
    }
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    #[serde(alias = "actions")]
    action: OneOrMore,
    #[serde(alias = "streams")]
    stream: OneOrMore,
    ip: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            OneOrMore::One(text) => fits(text),
            OneOrMore::More(texts) => texts.iter().any(|text| fits(text)),
        }
    }
}

/// Whether a token, signed by one of the keys, allows this wish now. It needs `exp`, `action` and `stream`; `nbf` and `ip`
/// count where they are. One that is meant for others (`aud`) is refused.
///
/// # Errors
/// What is wrong, for the log.
pub fn verify(
    secrets: &[Vec<u8>],
    public: &[PublicKey],
    token: &str,
    wish: Wish<'_>,
    now: Now,
    bind_ip: bool,
) -> Result<(), String> {
    if token.len() > TOKEN_BYTES {
        return Err(format!("a token of {} bytes is too long", token.len()));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| format!("token: {error}"))?;
    if header.crit.is_some() {
        // RFC 7515, 4.1.11: what must be understood is not.
        return Err("the token has critical parts that are unknown here".into());
    }
    let keys: Vec<DecodingKey> = match header.alg {
        Algorithm::HS256 => secrets.iter().map(|secret| DecodingKey::from_secret(secret)).collect(),
        wanted => {
            let fitting = public.iter().filter(|key| key.algorithm == wanted);
            fitting.map(|key| key.key.clone()).collect()
        }
    };
    let mut validation = Validation::new(header.alg);
    // The time is told by the caller; see `check_times`.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let mut refused = format!("no key for tokens of {:?}", header.alg);
    for key in &keys {
        match jsonwebtoken::decode::<Claims>(token, key, &validation) {
            Ok(data) => return data.claims.check(wish, now, bind_ip).map_err(str::to_owned),
            Err(error) => refused = format!("token: {error}"),
        }
    }
    Err(refused)
}

impl Claims {
    fn check(&self, wish: Wish<'_>, now: Now, bind_ip: bool) -> Result<(), &'static str> {
        self.check_times(now)?;
        if !self.action.any(|action| action == wish.action) {
            return Err("the token is for another action");
        }
        if !self.stream.any(|pattern| pattern::fits(pattern, wish.stream)) {
            return Err("the token is for other streams");
        }
        let client = wish.client.to_canonical();
        let is_client = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == client);
        match &self.ip {
            Some(ip) if !ip.any(is_client) => Err("the token is for another address"),
            None if bind_ip => Err("the token names no address"),
            _ => Ok(()),
        }
    }

    /// Times may have fractions (RFC 7519, section 2); the moment itself still counts, as with signed URLs.
    fn check_times(&self, now: Now) -> Result<(), &'static str> {
        // A float to an integer saturates, so nothing wraps.
        if self.exp < 0.0 || now.is_past(self.exp as u64) {
            return Err("the token has expired");
        }
        match self.nbf {
            Some(nbf) if now.is_before(nbf as u64) => Err("the token is not valid yet"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    use super::*;
    use crate::protocol::token::Now;

    const SECRET: &[u8] = b"0123456789abcdef";
    /// Made by OpenSSL, as are the tokens; each says `{"exp":2000,"action":"play","stream":"/live/*"}`.
    const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmjb0gIlyMZ0rmKOJZLb4
JPmR3eLFRhfLzv0crGSdvnBOJifYd9Z/2GuJwhgjkCHtTmb3V2g35N4RB0np6/Qh
P7bk1PHrA0otHwk70lyDNa5d/suCKJUgbV8vtm+E660NNjwrfN+XkkC1zmDpevZ/
06q+qka8LDyhvASNrHqijAykMOqDgtsLa46jUdOLfUMWOb9iYWVnI//vr02m0O2M
ZTPTOAqsBPx/BVBjP4k37WaD3GJzfwBgcfIdFtDORNrWeqctK0SS6zxSAczr4uKh
NLDDP/lbv9kKC6pEfMuhTjryTFwx2P2JzKnEd4cbCW3vsGJVJOioLDhpAxs2jqr/
uQIDAQAB
-----END PUBLIC KEY-----
";
    const EC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEPvEcr6GtHbSA6AcfTs1f+YoqUBfj
aGsn0GWy/XyelQ/J0DW1IPCfTL9CRESXHyVQdMPDGScGC8l6eyOSayJXcg==
-----END PUBLIC KEY-----
";
    const RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjIwMDAsImFjdGlvbiI6InBsYXkiLCJzdHJlYW0iOiIvbGl2ZS8qIn0\
        .OUGhyMmYTX_ed6D7ASjA4ZYjAFXMaE68bTxqJQN1-vPdxy6T1zjftdd-WPPoEi067yC_YZm19CB4XtnmbcjfrrPXR9sZOK-kmXM\
        iK3S_-JVGEcdMyshn4iB-s9s66capsqIwM8LEIYd-78YpSZtGPJFRK4u53fjSJLgGOsrPjU0XZ4P1EAhAgHwV-g5r1AQGwu_bC-t\
        pRY34S75GSbbOhrCvWx6U9pj-ITecBX9o7q7piz3qIF0UYtG2TLOWf2c6rbHQ82wJgC8BkQGuOecV5lvsu1xLp5r2FkADYjm6zDH\
        006Ogx1tWvc8aSf0dWZfaTkmOq92J8bzvj4UO15gG9A";
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjIwMDAsImFjdGlvbiI6InBsYXkiLCJzdHJlYW0iOiIvbGl2ZS8qIn0.9jtMuj1EgcMauLs\
        hVToSV14M08HyQ_XBfr4BARAcPl3_HWtE5i6Kispr3COgH1GVxun9MWCuS5rxIff5JaV0CQ";
    const HS256: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjIwMDAsImFjdGlvbiI6InBsYXkiLCJzdHJlYW0iOiIvbGl2ZS8qIn0.8pigGLNNdaHEj18\
        LpfRN-1uI5U6X76_kItizQSH9rNQ";

    const WISH: Wish<'_> = Wish {
        action: "play",
        stream: "/live/s",
        client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    };

    fn at(unix_seconds: u64) -> Now {
        Now { unix_seconds, skew: 5 }
    }

    fn check(token: &str, wish: Wish<'_>, now: Now) -> Result<(), String> {
        let keys = [b"another-key-of-16".to_vec(), SECRET.to_vec()];
        let public = [RSA, EC].map(|pem| PublicKey::parse(pem.as_bytes()).unwrap());
        verify(&keys, &public, token, wish, now, false)
    }

    fn base64(bytes: impl AsRef<[u8]>) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    fn signed(header: &str, claims: &str, key: &[u8]) -> String {
        let text = format!("{}.{}", base64(header), base64(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        format!("{text}.{}", base64(mac.finalize().into_bytes()))
    }

    fn says(claims: &str) -> Result<(), String> {
        check(&signed("{\"alg\":\"HS256\"}", claims, SECRET), WISH, at(1000))
    }

    #[test]
    fn openssl_makes_tokens_that_are_valid_in_their_time() {
        for token in [RS256, ES256, HS256] {
            assert_eq!(check(token, WISH, at(1000)), Ok(()), "{token}");
            assert_eq!(check(token, WISH, at(2005)), Ok(()), "{token}");
            assert_eq!(
                check(token, WISH, at(2006)),
                Err("the token has expired".into()),
                "{token}"
            );
            let other = Wish {
                action: "publish",
                ..WISH
            };
            assert!(check(token, other, at(1000)).is_err());
            let other = Wish {
                stream: "/vod/s",
                ..WISH
            };
            assert!(check(token, other, at(1000)).is_err());
        }
    }

    #[test]
    fn claims_decide() {
        for (claims, expected) in [
            (r#"{"exp":2000,"action":"play","stream":"/live/s"}"#, true),
            (
                r#"{"exp":2000.5,"actions":["publish","play"],"streams":["/a","/live/s*"]}"#,
                true,
            ),
            (r#"{"exp":2000,"action":"play","stream":"*","sub":"x","iss":"y"}"#, true),
            (r#"{"exp":2000,"action":"play","stream":"/live/s2"}"#, false),
            (r#"{"exp":2000,"action":"play","stream":[]}"#, false),
            (r#"{"exp":2000,"action":"Play","stream":"*"}"#, false),
            (r#"{"exp":2000,"action":"play"}"#, false),
            (r#"{"exp":2000,"stream":"*"}"#, false),
            (r#"{"action":"play","stream":"*"}"#, false),
            (r#"{"exp":"2000","action":"play","stream":"*"}"#, false),
            (r#"{"exp":-1,"action":"play","stream":"*"}"#, false),
            (r#"{"exp":994,"action":"play","stream":"*"}"#, false),
            (r#"{"exp":995,"action":"play","stream":"*"}"#, true),
            (r#"{"exp":2000,"nbf":1005,"action":"play","stream":"*"}"#, true),
            (r#"{"exp":2000,"nbf":1006,"action":"play","stream":"*"}"#, false),
            (
                r#"{"exp":2000,"action":"play","stream":"*","aud":"somebody else"}"#,
                false,
            ),
            (r#"{"exp":2000,"action":"play","stream":"*","ip":"192.0.2.1"}"#, true),
            (
                r#"{"exp":2000,"action":"play","stream":"*","ip":"::ffff:192.0.2.1"}"#,
                true,
            ),
            (
                r#"{"exp":2000,"action":"play","stream":"*","ip":["192.0.2.2","192.0.2.1"]}"#,
                true,
            ),
            (r#"{"exp":2000,"action":"play","stream":"*","ip":"192.0.2.2"}"#, false),
            (r#"{"exp":2000,"action":"play","actions":"play","stream":"*"}"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(says(claims).is_ok(), expected, "{claims}");
        }
    }

    #[test]
    fn addresses_can_be_required() {
        let token = |claims| signed("{\"alg\":\"HS256\"}", claims, SECRET);
        let check = |token: &str| verify(&[SECRET.to_vec()], &[], token, WISH, at(1000), true);
        assert!(check(&token(r#"{"exp":2000,"action":"play","stream":"*"}"#)).is_err());
        assert!(check(&token(r#"{"exp":2000,"action":"play","stream":"*","ip":"192.0.2.1"}"#)).is_ok());
    }

    #[test]
    fn a_public_key_is_no_secret() {
        let claims = r#"{"exp":2000,"action":"play","stream":"*"}"#;
        for pem in [RSA, EC] {
            let forged = signed("{\"alg\":\"HS256\"}", claims, pem.as_bytes());
            assert!(check(&forged, WISH, at(1000)).is_err());
        }
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"HS384"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":["HS256"]}"#,
            "{}",
        ] {
            let token = signed(header, claims, SECRET);
            assert!(check(&token, WISH, at(1000)).is_err(), "{header}");
            let unsigned = &token[..=token.rfind('.').unwrap()];
            assert!(check(unsigned, WISH, at(1000)).is_err(), "{header}");
        }
        let others = signed("{\"alg\":\"HS256\"}", claims, b"a-key-that-is-not-ours");
        assert!(check(&others, WISH, at(1000)).is_err());
    }

    #[test]
    fn broken_tokens_are_refused() {
        for token in [RS256, ES256, HS256] {
            for end in 0..token.len() {
                assert!(check(&token[..end], WISH, at(1000)).is_err(), "{end}");
            }
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..3000 {
            let mut bytes = HS256.as_bytes().to_vec();
            let at_byte = random.usize(..bytes.len() - 1);
            bytes[at_byte] = random.u8(0x20..0x7f);
            let token = String::from_utf8(bytes).unwrap();
            assert!(token == HS256 || check(&token, WISH, at(1000)).is_err(), "{token}");
        }
        assert!(check(&"a".repeat(TOKEN_BYTES + 1), WISH, at(1000)).is_err());
    }

    #[test]
    fn keys_are_read_from_pem() {
        for pem in ["", "no key", &RSA[..RSA.len() / 2]] {
            assert!(PublicKey::parse(pem.as_bytes()).is_err(), "{pem}");
        }
        assert_eq!(
            PublicKey::parse(EC.as_bytes()).unwrap(),
            PublicKey::parse(EC.as_bytes()).unwrap()
        );
    }
}
