//! Writes a binary as an OCI image archive, without a container engine:
//! `image BINARY OUT.tar NAME:TAG ARCHITECTURE [FILE]`.
//!
//! The image is one layer with one file, `/keyset` or the FILE that is named, that a numeric user runs: no shell, no
//! library, no user database. The same binary always gives the same octets: no time, no owner, no name of this machine
//! is in them (OCI image layout 1.0).

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::io::Write;
use std::{env, fs};

use flate2::{Compression, GzBuilder};
use keyset_operator::jose::Digest;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (binary, out, reference, architecture, file) = match &arguments[..] {
        [binary, out, reference, architecture] => (binary, out, reference, architecture, KEYSET),
        [binary, out, reference, architecture, file] => (binary, out, reference, architecture, file.as_str()),
        _ => return Err("image BINARY OUT.tar NAME:TAG ARCHITECTURE [FILE]".into()),
    };
    let (archive, digest) = image(&fs::read(binary)?, reference, architecture, file)?;
    fs::write(out, &archive)?;
    println!("{out}: {reference} {digest}, {:.1} MiB", megabytes(archive.len()));
    Ok(())
}

/// The archive of an image with that binary as that file, and the digest of its manifest.
fn image(binary: &[u8], reference: &str, architecture: &str, file: &str) -> Result<(Vec<u8>, String), Box<dyn Error>> {
    let (_, tag) = reference.rsplit_once(':').ok_or("NAME:TAG lacks its tag")?;
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, file, 0o755, binary)?;
    let layer = layer.into_inner()?;
    let mut zipped = GzBuilder::new().write(Vec::new(), Compression::best());
    zipped.write_all(&layer)?;

    let mut blobs = Vec::new();
    let content = blob(&mut blobs, "layer.v1.tar+gzip", zipped.finish()?);
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": USER,
            "Entrypoint": [format!("/{file}")],
            "WorkingDir": "/",
            "Labels": labels(file),
        },
        "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]},
    });
    let config = blob(&mut blobs, "config.v1+json", serde_json::to_vec(&config)?);
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type("manifest.v1+json"), "config": config, "layers": [content]});
    let mut manifest = blob(&mut blobs, "manifest.v1+json", serde_json::to_vec(&manifest)?);
    let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
    manifest["platform"] = json!({"architecture": architecture, "os": "linux"});
    // The first is where containerd looks for a name, the second is what the specification says.
    manifest["annotations"] = json!({"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag});
    let index = json!({"schemaVersion": 2, "mediaType": media_type("index.v1+json"), "manifests": [manifest]});

    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add(&mut archive, "index.json", 0o644, &serde_json::to_vec(&index)?)?;
    for (digest, bytes) in blobs {
        add(&mut archive, &format!("blobs/{}", digest.replacen(':', "/", 1)), 0o644, &bytes)?;
    }
    Ok((archive.into_inner()?, digest))
}

/// What is said of this project is said of its own binary alone.
fn labels(file: &str) -> Value {
    match file {
        KEYSET => json!({
            "org.opencontainers.image.title": KEYSET,
            "org.opencontainers.image.description": env!("CARGO_PKG_DESCRIPTION"),
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        }),
        _ => json!({"org.opencontainers.image.title": file}),
    }
}

/// Keeps a blob and gives its descriptor.
fn blob(blobs: &mut Vec<(String, Vec<u8>)>, kind: &str, bytes: Vec<u8>) -> Value {
    let digest = sha256(&bytes);
    let descriptor = json!({"mediaType": media_type(kind), "digest": digest, "size": bytes.len()});
    blobs.push((digest, bytes));
    descriptor
}

fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

fn media_type(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(length: usize) -> f64 {
    length as f64 / f64::from(1 << 20)
}

const KEYSET: &str = "keyset";

/// Numeric, so that `runAsNonRoot` can be checked.
const USER: &str = "65532:65532";

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The members of an archive, by path.
    fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_string_lossy().into_owned(), bytes)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn every_blob_is_what_its_name_says_and_the_layer_has_the_binary_alone() {
        let (archive, manifest) = image(b"binary", "keyset/keyset:1.2.3", "amd64", KEYSET).unwrap();
        assert_eq!(
            image(b"binary", "keyset/keyset:1.2.3", "amd64", KEYSET).unwrap(),
            (archive.clone(), manifest.clone())
        );
        let members = members(&archive);
        let content = |digest: &str| {
            let path = format!("blobs/{}", digest.replacen(':', "/", 1));
            let (_, bytes) = members.iter().find(|(name, _)| *name == path).unwrap();
            assert_eq!(sha256(bytes), digest);
            bytes.clone()
        };
        let manifest: Value = serde_json::from_slice(&content(&manifest)).unwrap();
        let config: Value = serde_json::from_slice(&content(manifest["config"]["digest"].as_str().unwrap())).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        let mut layer = Vec::new();
        let zipped = content(manifest["layers"][0]["digest"].as_str().unwrap());
        flate2::read::GzDecoder::new(&zipped[..]).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&layer));
        assert_eq!(self::members(&layer), [(KEYSET.to_owned(), b"binary".to_vec())]);
    }

    #[test]
    fn the_dockerfile_says_the_same_and_takes_the_same_compiler() {
        let dockerfile = include_str!("../../Dockerfile");
        let labels = labels(KEYSET);
        let labels = labels.as_object().unwrap().iter().map(|(name, value)| format!("{name}={value}"));
        let (_, toolchain) = include_str!("../../rust-toolchain.toml").split_once("channel = \"").unwrap();
        let toolchain = toolchain.split('"').next().unwrap();
        let compiler = [format!("rust:{toolchain}-bookworm AS build"), format!("RUSTUP_TOOLCHAIN={toolchain} ")];
        let process = [format!("USER {USER}\n"), format!("ENTRYPOINT [\"/{KEYSET}\"]\n"), "WORKDIR /\n".to_owned()];
        for line in labels.chain(compiler).chain(process) {
            assert!(dockerfile.contains(&line), "the Dockerfile lacks {line}");
        }
        assert!(dockerfile.contains("FROM scratch\n"));
    }
}
