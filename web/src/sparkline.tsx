const NUM_POINTS = 60;
const HEIGHT = 24;

/** The last minute as a line that starts at 0; for the eye only. */
export function Sparkline({ values }: { readonly values: readonly number[] }) {
  const top = Math.max(1, ...values);
  const firstX = NUM_POINTS - values.length;
  const points = values.map((value, index) => {
    const y = HEIGHT - 1 - (value / top) * (HEIGHT - 2);
    return `${firstX + index},${y.toFixed(2)}`;
  });
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${NUM_POINTS - 1} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {points.length > 1 && (
        <>
          <polygon
            points={`${firstX},${HEIGHT} ${points.join(" ")} ${NUM_POINTS - 1},${HEIGHT}`}
          />
          <polyline points={points.join(" ")} vector-effect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
}
