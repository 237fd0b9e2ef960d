//! What kernels are compiled with: NVRTC and CUDA's headers. A machine can have NVIDIA's driver without either.

use cudarc::nvrtc::sys;
use std::path::PathBuf;

/// Headers that kernels include; `crt` is a folder that not every package of headers brings.
const HEADERS: [&str; 5] = [
    "cuda_runtime.h",
    "cuda_fp16.h",
    "cuda_bf16.h",
    "mma.h",
    "crt/mma.h",
];

/// Whether kernels can be compiled here.
///
/// # Errors
/// What is missing, and what to do.
#[expect(unsafe_code, reason = "the library is looked for by loading it")]
pub(super) fn check() -> Result<(), String> {
    // SAFETY: loading NVRTC runs its initializers, as every program that compiles kernels does.
    let nvrtc = unsafe { sys::is_culib_present() };
    checked(nvrtc, cubecl_cuda::install::cuda_path()).map_err(|missing| {
        format!(
            "the NVIDIA driver is installed, but kernels cannot be compiled: {missing} (docs/devices.md, \"What CUDA needs\")"
        )
    })
}

/// The first thing that is missing.
fn checked(nvrtc: bool, toolkit: Option<PathBuf>) -> Result<(), String> {
    if !nvrtc {
        return Err(
            "no library `nvrtc` is found: install a CUDA toolkit, or name the folder of libnvrtc in LD_LIBRARY_PATH"
                .to_owned(),
        );
    }
    let Some(toolkit) = toolkit else {
        return Err(
            "no CUDA toolkit is found: install one, or set CUDA_PATH to the folder that holds its `include`"
                .to_owned(),
        );
    };
    let mut headers = HEADERS
        .map(|header| toolkit.join("include").join(header))
        .into_iter();
    headers
        .find(|header| !header.is_file())
        .map_or(Ok(()), |header| {
            let header = header.display();
            Err(format!(
                "`{header}` does not exist: set CUDA_PATH to the folder of a whole CUDA toolkit"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernels_need_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let include = folder.path().join("include");
        std::fs::create_dir_all(include.join("crt")).unwrap();
        let toolkit = || Some(folder.path().to_owned());
        let says = |outcome: Result<(), String>, word: &str| {
            let reason = outcome.unwrap_err();
            assert!(reason.contains(word), "{reason}");
        };
        says(checked(false, toolkit()), "no library `nvrtc`");
        says(checked(true, None), "no CUDA toolkit");
        says(checked(true, toolkit()), "include/cuda_runtime.h");
        for header in HEADERS {
            std::fs::write(include.join(header), "").unwrap();
        }
        assert_eq!(checked(true, toolkit()), Ok(()));
        std::fs::remove_file(include.join("crt/mma.h")).unwrap();
        says(checked(true, toolkit()), "include/crt/mma.h");
    }
}
