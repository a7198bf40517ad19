//! The peer: nginx with one file.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A running nginx, ended when dropped.
pub(crate) struct Nginx {
    child: Child,
    directory: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// Serves `document` at `path` as fast as it can. An error says why there is none.
    pub(crate) fn start(path: &str, document: &str) -> Result<Self, String> {
        let directory = env::temp_dir().join(format!("keyset-bench-{}", process::id()));
        let address = configure(&directory, path, document).map_err(|error| error.to_string())?;
        let program =
            ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].into_iter().find(|it| fs::exists(it).is_ok_and(|it| it));
        let mut command = Command::new(program.unwrap_or("nginx"));
        command.arg("-p").arg(&directory).args(["-c", "nginx.conf", "-e", "stderr"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|_| "nginx is not installed".to_owned())?;
        let nginx = Self { child, directory, address };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Ok(nginx);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("nginx does not listen".to_owned())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers go with it only when it is told to stop.
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        if told.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn configure(directory: &Path, path: &str, document: &str) -> io::Result<SocketAddr> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let file = directory.join("root").join(path.trim_start_matches('/'));
    fs::create_dir_all(file.parent().unwrap_or(directory))?;
    fs::write(&file, document)?;
    let conf = directory.join("nginx.conf");
    let directory = directory.display();
    let text = format!(
        "daemon off; pid {directory}/pid; worker_processes auto; events {{ worker_connections 64; }}
         http {{
           access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=10;
           client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
           uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
           server {{ listen {address}; root {directory}/root; }}
         }}"
    );
    fs::write(conf, text)?;
    Ok(address)
}
