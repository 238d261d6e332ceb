// An explorable's sliders choose among pictures that were drawn ahead. No module, so that it also
// works on a page opened straight from disk.
for (const explorable of document.querySelectorAll(".explorable")) {
  const picture = explorable.querySelector("img");
  const sliders = [...explorable.querySelectorAll("input")];
  const addresses = explorable.dataset.frames.split(" ").map(name => new URL(name, picture.src).href);

  const show = () => {
    let frame = 0;
    for (const slider of sliders) {
      const values = JSON.parse(slider.dataset.values);
      const text = values[slider.value];
      frame = frame * values.length + Number(slider.value);
      slider.setAttribute("aria-valuetext", text);
      slider.parentElement.querySelector(".explorable-value").textContent = text;
    }
    picture.src = addresses[frame];
  };
  for (const slider of sliders) {
    slider.disabled = false;
    slider.addEventListener("input", show);
  }

  // Fetched when the reader comes near, and kept, so that a slider never waits.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    observer.disconnect();
    explorable.frames = addresses.map(address => Object.assign(new Image(), { src: address }));
  }, { rootMargin: "600px" }).observe(explorable);
}
