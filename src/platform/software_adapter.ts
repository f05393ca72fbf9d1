/** Whether an adapter computes on the CPU: llvmpipe, SwiftShader, WARP. */
export function isSoftwareAdapter(adapter: GPUAdapter): boolean {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return isFallbackAdapter ||
    /llvmpipe|swiftshader|lavapipe|basic render|software/i
      .test(`${vendor} ${architecture} ${device} ${description}`);
}
