//! Tokens that are no tokens: extensions, the compact form, and the JSON in it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::{NOW, Table, compact_octets, encoded, sound_claims};

impl Table<'_> {
    pub(super) fn extensions(&mut self) {
        for (name, refused_for, members) in [
            ("b64 true in crit", None, json!({"crit": ["b64"], "b64": true})),
            ("b64 false, not in crit", None, json!({"b64": false})),
            ("crit of a claim", Some("crit"), json!({"crit": ["exp"], "exp": 1})),
            ("crit of nothing", Some("crit"), json!({"crit": []})),
            ("crit null", Some("crit"), json!({"crit": null})),
            ("crit a string", Some("crit"), json!({"crit": "b64", "b64": true})),
            ("crit of a number", Some("crit"), json!({"crit": [1]})),
            ("crit of an empty name", Some("crit"), json!({"crit": [""], "": 1})),
            ("crit of what is not there", Some("crit"), json!({"crit": ["b64"]})),
            ("crit of what both know and do not", Some("crit"), json!({"crit": ["b64", "x"], "b64": true, "x": 1})),
            ("b64 a string", Some("crit"), json!({"crit": ["b64"], "b64": "true"})),
            ("b64 false, encoded all the same", Some("crit"), json!({"crit": ["b64"], "b64": false})),
        ] {
            self.headed(name, refused_for, |header| {
                header.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            });
        }
        let header = self.with_header(|header| (header["crit"], header["b64"]) = (json!(["b64"]), json!(false)));
        let message = format!("{}.{}", encoded(&header), sound_claims());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()).unwrap());
        self.case("b64 false", Some("form"), format!("{message}.{signature}"));
    }

    pub(super) fn forms(&mut self) {
        let token = self.genuine();
        let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let json = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
        for (name, token) in [
            ("nothing", String::new()),
            ("an opaque token", "a4b2c8d6e1f09a7b".to_owned()),
            ("dots", "..".to_owned()),
            ("without its signature", format!("{header}.{payload}")),
            ("without its header", format!("{payload}.{signature}")),
            ("four parts", format!("{token}.{signature}")),
            ("five parts, like a JWE", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
            ("as JSON", json),
            ("after Bearer", format!("Bearer {token}")),
            ("after a space", format!(" {token}")),
            ("in quotes", format!("\"{token}\"")),
            ("with a NUL at its end", format!("{token}\0")),
            ("with a foreign letter", format!("{token}é")),
            ("in the middle of a header", format!("Authorization: {token}")),
            ("cut off in its payload", format!("{header}.{}.{signature}", &payload[..payload.len() / 8 * 4])),
            ("signature with impossible length", format!("{header}.{payload}.{}", &signature[..5])),
            ("header in the standard alphabet", format!("{header}+/.{payload}.{signature}")),
        ] {
            let refused_for = match name {
                "dots" => "header",
                "cut off in its payload" => "signature",
                _ => "form",
            };
            self.case(name, Some(refused_for), token);
        }
        self.case("in the standard alphabet", Some("form"), self.in_the_standard_alphabet());
        self.lenient_forms(header, payload, signature);
    }

    fn lenient_forms(&mut self, header: &str, payload: &str, signature: &str) {
        const WHY: &str = "RFC 7515 section 2 has no padding, no white space, and RFC 4648 lets a reader refuse bits that \
                           say nothing; the atob of jose takes them";
        let padded = |part: &str| format!("{part}{}", &"==="[..(4 - part.len() % 4) % 4]);
        let mut lenient = vec![
            ("with a line break at its end", format!("{header}.{payload}.{signature}\n")),
            ("with a line break in it", format!("{header}.{payload}.{}\n{}", &signature[..9], &signature[9..])),
        ];
        if !signature.len().is_multiple_of(4) {
            lenient.push(("with a padded signature", format!("{header}.{payload}.{}", padded(signature))));
            // The last character has bits to spare, which are zero: the next one has the same octet.
            let (start, last) = signature.split_at(signature.len() - 1);
            let twin = char::from(last.as_bytes()[0] + 1);
            lenient.push(("with bits that say nothing", format!("{header}.{payload}.{start}{twin}")));
        }
        for (name, token) in lenient {
            self.case(name, Some("form"), token);
            self.differs(WHY);
        }
        if padded(payload) != payload {
            let message = format!("{header}.{}", padded(payload));
            let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()).unwrap());
            self.case("with a padded payload, signed so", Some("form"), format!("{message}.{signature}"));
            self.differs(WHY);
        }
    }

    pub(super) fn documents(&mut self) {
        const TWICE: &str = "readers disagree on which of two members counts; RFC 7515 section 4 lets a reader refuse or \
                             take the last, and jose takes the last";
        const LAX: &str = "RFC 8259 lets a reader refuse a byte order mark and numbers and escapes that mean nothing, and \
                           JSON.parse takes them";
        let (header, payload) = (self.header().to_string(), sound_claims().to_string());
        let mut documents: Vec<(&'static str, Vec<u8>)> = [
            ("not JSON", "alg=none"),
            ("empty", ""),
            ("an array", "[]"),
            ("a string", "\"header\""),
            ("a number", "1"),
            ("null", "null"),
            ("cut off", "{\"alg\":\"ES256\""),
            ("two objects", "{} {}"),
            ("with a comment", "{} // none"),
            ("in single quotes", "{'alg':'none'}"),
        ]
        .map(|(name, text)| (name, text.into()))
        .into();
        documents.push(("not UTF-8", b"{\"alg\":\"\xff\"}".into()));
        documents.push(("UTF-16", "{}".encode_utf16().flat_map(u16::to_be_bytes).collect()));
        for (name, document) in documents {
            self.case(name, Some("header"), compact_octets(self.key, &document, payload.as_bytes()));
            self.case(name, Some("payload"), compact_octets(self.key, header.as_bytes(), &document));
        }
        self.case("an empty header", Some("alg"), self.signed("{}", &payload));
        self.case("no claims", Some("exp"), self.signed(&header, "{}"));
        let doubled = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
        for (name, refused_for, token, why) in [
            ("alg twice", "header", self.signed(&doubled(&header, r#""alg":"none""#), &payload), TWICE),
            ("exp twice", "payload", self.signed(&header, &doubled(&payload, r#""exp":1"#)), TWICE),
            (
                "a member of a member twice",
                "payload",
                self.signed(&header, &doubled(&payload, r#""x":{"y":1,"y":2}"#)),
                TWICE,
            ),
            ("a byte order mark", "payload", self.signed(&header, &format!("\u{feff}{payload}")), LAX),
            (
                "a number without end",
                "payload",
                self.signed(&header, &payload.replace(&(NOW + 300).to_string(), "1e999")),
                LAX,
            ),
            ("half a character", "payload", self.signed(&header, &doubled(&payload, r#""x":"\ud800""#)), LAX),
        ] {
            self.case(name, Some(refused_for), token);
            self.differs(why);
        }
    }
}
