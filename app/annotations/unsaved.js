// What this browser keeps and the app has not saved, a link to each feature.
//
// data: { dictionaries: {digest: [id, start of the address]} }

export default function ({ data, parentElement, setTriggerValue }) {
  const found = unsaved("").filter(([digest]) => data.dictionaries[digest]);
  const line = make("div", "unsaved", found.length ? `${found.length} not saved, kept in this browser: ` : "");
  for (const [digest, number] of found) {
    const [id, address] = data.dictionaries[digest];
    const link = make("a", "", `${id} · ${number}`);
    link.href = address + number;
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab or window of its own
      event.preventDefault();
      setTriggerValue("open", [id, number]);
    });
    line.append(link, " ");
  }
  parentElement.querySelector(".unsaved")?.remove();
  parentElement.append(line);
}
