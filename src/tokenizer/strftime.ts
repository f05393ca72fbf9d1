const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/**
 * Python's `strftime` in the C locale, for the directives that chat templates use; others stay as
 * they are. In UTC, so that the same request makes the same prompt wherever it is rendered.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (directive, dash: string, letter: string) => {
    const field = formatField(date, letter);
    if (field === null) return directive;
    return dash === "-" ? field.replace(/^0+(?=.)/, "") : field;
  });
}

function formatField(date: Date, letter: string): string | null {
  const day = DAYS[date.getUTCDay()]!;
  const month = MONTHS[date.getUTCMonth()]!;
  const hours = date.getUTCHours();
  switch (letter) {
    case "Y":
      return String(date.getUTCFullYear());
    case "y":
      return pad(date.getUTCFullYear() % 100, 2);
    case "m":
      return pad(date.getUTCMonth() + 1, 2);
    case "d":
      return pad(date.getUTCDate(), 2);
    case "B":
      return month;
    case "b":
      return month.slice(0, 3);
    case "A":
      return day;
    case "a":
      return day.slice(0, 3);
    case "H":
      return pad(hours, 2);
    case "I":
      return pad(hours % 12 || 12, 2);
    case "p":
      return hours < 12 ? "AM" : "PM";
    case "M":
      return pad(date.getUTCMinutes(), 2);
    case "S":
      return pad(date.getUTCSeconds(), 2);
    case "j":
      return pad(dayOfYear(date), 3);
    case "Z":
      return "UTC";
    case "z":
      return "+0000";
    case "F":
      return strftime(date, "%Y-%m-%d");
    case "T":
      return strftime(date, "%H:%M:%S");
    case "%":
      return "%";
    default:
      return null;
  }
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getUTCFullYear(), 0, 1);
  return Math.floor((date.getTime() - start) / 86_400_000) + 1;
}

function pad(value: number, numDigits: number): string {
  return String(value).padStart(numDigits, "0");
}
