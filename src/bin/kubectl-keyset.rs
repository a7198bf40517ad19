//! The binary `kubectl-keyset`: see [`keyset_operator::plugin`].

fn main() -> std::process::ExitCode {
    keyset_operator::plugin::run()
}
