//! What kernels are compiled with: NVRTC and CUDA's headers. A machine can have NVIDIA's driver without either.

use cudarc::driver::sys::CUDA_VERSION;
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

/// The first release of NVRTC that knows `__tanhf`, which cubecl writes where it is built for that release or a later one.
const TANH: [i32; 2] = [12, 8];

/// Whether kernels can be compiled here.
///
/// # Errors
/// What is missing, and what to do.
pub(super) fn check() -> Result<(), String> {
    let found = nvrtc();
    let needed = (CUDA_VERSION >= 12_080).then_some(TANH);
    checked(found, needed, cubecl_cuda::install::cuda_path())
}

/// The release of NVRTC, if there is one.
#[expect(
    unsafe_code,
    reason = "the library is looked for by loading it, and asked through its C interface"
)]
fn nvrtc() -> Option<[i32; 2]> {
    // SAFETY: loading NVRTC runs its initializers, as every program that compiles kernels does.
    if !unsafe { sys::is_culib_present() } {
        return None;
    }
    let [mut major, mut minor] = [0; 2];
    // SAFETY: both are places for a number, which is all that the function writes.
    let result = unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    (result == sys::nvrtcResult::NVRTC_SUCCESS).then_some([major, minor])
}

fn checked(
    nvrtc: Option<[i32; 2]>,
    needed: Option<[i32; 2]>,
    toolkit: Option<PathBuf>,
) -> Result<(), String> {
    let without = |missing: &str| {
        format!(
            "the NVIDIA driver is installed, but kernels cannot be compiled: {missing} (docs/devices.md says how to install what is needed)"
        )
    };
    let Some(found) = nvrtc else {
        return Err(without(
            "no library `nvrtc` is found: install a CUDA toolkit, or name the folder of libnvrtc in LD_LIBRARY_PATH",
        ));
    };
    if let Some(needed) = needed.filter(|needed| found < *needed) {
        let name = |[major, minor]: [i32; 2]| format!("{major}.{minor}");
        return Err(without(&format!(
            "NVRTC is of CUDA {}, and this dpx needs {} or later: install that, or build dpx with CUDARC_CUDA_VERSION={}0{}0",
            name(found),
            name(needed),
            found[0],
            found[1]
        )));
    }
    let Some(toolkit) = toolkit else {
        return Err(without(
            "no CUDA toolkit is found: set CUDA_PATH to the folder that holds its `include`",
        ));
    };
    let include = toolkit.join("include");
    let missing = |header: &&str| !include.join(header).is_file();
    HEADERS.iter().find(missing).map_or(Ok(()), |header| {
        let missing = include.join(header);
        Err(without(&format!(
            "`{}` does not exist: set CUDA_PATH to the folder of a whole CUDA toolkit",
            missing.display()
        )))
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
        says(checked(None, None, toolkit()), "no library `nvrtc`");
        says(
            checked(Some([12, 4]), Some(TANH), toolkit()),
            "CUDARC_CUDA_VERSION=12040",
        );
        says(checked(Some([13, 0]), Some(TANH), None), "CUDA_PATH");
        says(
            checked(Some([12, 8]), Some(TANH), toolkit()),
            "cuda_runtime.h",
        );
        for header in HEADERS {
            std::fs::write(include.join(header), "").unwrap();
        }
        assert_eq!(checked(Some([12, 8]), Some(TANH), toolkit()), Ok(()));
        assert_eq!(checked(Some([12, 4]), None, toolkit()), Ok(()));
        std::fs::remove_file(include.join("crt/mma.h")).unwrap();
        says(checked(Some([12, 8]), Some(TANH), toolkit()), "crt/mma.h");
    }
}
