//! Key generation beside the async threads.

use std::num::NonZeroUsize;
use std::sync::Arc;

use getrandom::SysRng;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{KeyError, KeyPair};
use crate::jose::Algorithm;

/// Makes keys on blocking threads, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct Generator {
    pub(super) permits: Arc<Semaphore>,
}

impl Generator {
    /// At most `parallelism` keys are made at once; the others wait in the order they came.
    pub fn new(parallelism: NonZeroUsize) -> Self {
        Self { permits: Arc::new(Semaphore::new(parallelism.get())) }
    }

    /// A new key that passed its self-test. `rsa_key_bits` (2048, 3072 or 4096; absent: 2048) says nothing to other
    /// algorithms. If the caller goes away, the key is finished and dropped: the bound holds all the same.
    pub async fn generate(&self, algorithm: Algorithm, rsa_key_bits: Option<i32>) -> Result<KeyPair, KeyError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| KeyError::GenerationFailed("the generator is closed"))?;
        let task = spawn_blocking(move || {
            let pair = KeyPair::generate(algorithm, rsa_key_bits, &mut SysRng);
            drop(permit);
            pair
        });
        task.await.map_err(|_| KeyError::GenerationFailed("the process is shutting down"))?
    }
}
