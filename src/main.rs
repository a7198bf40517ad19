//! The binary `keyset`: see [`keyset_operator::cli`].

fn main() -> std::process::ExitCode {
    keyset_operator::cli::run()
}
